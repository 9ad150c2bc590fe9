"""One verification under way, of a family on disk or of a variant copied out of one: the checks made so far, and those
that both get alike."""

import importlib.metadata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from exporter.checkpoint.checkpoint import Checkpoint
from exporter.verify.family_digests import check_contents
from exporter.verify.family_source import check_source, source_bytes
from exporter.verify.family_structure import check_code, check_variants
from runtime.documents.check import FAILED, PASSED, SKIPPED, Check
from runtime.documents.manifest import FileRecord, Manifest, VariantRecord
from runtime.errors import TrimoeError
from runtime.text.progress import Progress

Runner = TypeVar("Runner")


class AnswerCheck(Protocol):
    """Runs variants and compares their answers (exporter.verify.family_answers.verify_answers, which needs torch)."""

    def __call__(
        self,
        *,
        folder: Path,
        manifest: Manifest,
        variants: Sequence[VariantRecord],
        checkpoint: Checkpoint | None,
        run_code: bool,
        progress: Callable[[int], None],
    ) -> tuple[Check, ...]:
        """The checks made; differences are failed checks."""


class Verification:
    """The checks of `variants` of the family at `folder`; whatever is wrong is a failed check."""

    def __init__(
        self, folder: Path, manifest: Manifest, variants: tuple[VariantRecord, ...], progress: Progress
    ) -> None:
        """Nothing is checked yet."""
        self.folder, self.manifest, self.variants, self.progress = folder, manifest, variants, progress
        self.checks: list[Check] = []

    def attempt(self, name: str, check: Callable[[], str]) -> None:
        """Add the check of that name: what `check` found, or what it raised."""
        self._attempt(name, lambda: (PASSED, check()))

    def skip(self, name: str, why: str) -> None:
        """Add a check that is not made."""
        self.checks.append(Check(name=name, outcome=SKIPPED, detail=why))

    def digest_check(self, present: Callable[[], Sequence[FileRecord]]) -> None:
        """Compare the files that `present` finds with their digests."""
        self.attempt("digests", lambda: self._read_files(present()))

    def _read_files(self, records: Sequence[FileRecord]) -> str:
        self.progress.begin("reading files", sum(record.size for record in records if record.link_of is None))
        return check_contents(self.folder, records, self.progress.advance)

    def structure_checks(self) -> None:
        """Compare configs, indexes, headers and code with the manifest."""
        version = importlib.metadata.version("trimoe")
        self.attempt("structure", lambda: check_variants(self.folder, self.manifest, self.variants))
        self._attempt("code", lambda: check_code(self.folder, self.manifest, self.variants, version=version))

    def source_check(self, checkpoint: Checkpoint) -> None:
        """Compare the source's tensors with the recorded digests."""
        self.progress.begin("reading source", source_bytes(checkpoint))
        self.attempt("source", lambda: check_source(self.folder, self.manifest, checkpoint, self.progress.advance))

    def answer_checks(
        self, answers: Callable[[], AnswerCheck | str] | str, checkpoint: Checkpoint | None, *, weight_bytes: int
    ) -> bool:
        """Run the variants, of `weight_bytes` together, unless something they depend on is damaged; returns whether
        they can be run here."""
        check = self.unless_failed("not run", answers)
        if isinstance(check, str):
            self.skip("logits", check)
            return False
        self.progress.begin("running", weight_bytes + (0 if checkpoint is None else source_bytes(checkpoint)))
        self.checks += check(
            folder=self.folder,
            manifest=self.manifest,
            variants=self.variants,
            checkpoint=checkpoint,
            run_code=any(found.name == "code" and found.outcome == PASSED for found in self.checks),
            progress=self.progress.advance,
        )
        return True

    def unless_failed(self, otherwise: str, runner: Callable[[], Runner | str] | str) -> Runner | str:
        """What `runner` gives, or the reason that it is; where a check failed, `otherwise` and which."""
        if isinstance(runner, str):
            return runner
        failed = [check.name for check in self.checks if check.outcome == FAILED]
        return f"{otherwise}, because of: {', '.join(failed)}" if failed else runner()

    def _attempt(self, name: str, check: Callable[[], tuple[str, str]]) -> None:
        try:
            outcome, detail = check()
        except TrimoeError as error:
            outcome, detail = FAILED, str(error)
        except OSError as error:
            outcome, detail = FAILED, f"{error.filename}: cannot be read: {error.strerror}"
        self.checks.append(Check(name=name, outcome=outcome, detail=detail))


def describe_source(manifest: Manifest) -> str:
    """The source as the first check names it: `demo (molmoe)`, with "random weights" where it is synthetic."""
    source = manifest.source
    return f"{source.name} ({source.architecture}{', random weights' if source.synthetic else ''})"
