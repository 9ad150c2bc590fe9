"""Verify a family on disk, everything its export verified and more: files, bytes, structure, code, source and
answers."""

import importlib.metadata
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from msgspec.structs import replace

from exporter.checkpoint.checkpoint import Checkpoint
from exporter.family.existing import graph_types
from exporter.verify.family_digests import check_contents
from exporter.verify.family_files import check_listing, open_family, regular_files, selected_records
from exporter.verify.family_source import check_source, source_bytes
from exporter.verify.family_structure import check_code, check_variants
from exporter.verify.report import Report
from runtime.documents.check import FAILED, PASSED, SKIPPED, Check
from runtime.documents.family_layout import WEIGHTS
from runtime.documents.manifest import FileRecord, Manifest, VariantRecord
from runtime.errors import TrimoeError
from runtime.text.counted import counted
from runtime.text.progress import Progress

Loaded = TypeVar("Loaded")


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


class GraphCheck(Protocol):
    """Checks the ONNX form of variants (exporter.verify.family_graphs.verify_graphs, which needs torch, onnx and
    onnxruntime)."""

    def __call__(
        self,
        *,
        folder: Path,
        manifest: Manifest,
        variants: Sequence[VariantRecord],
        answers: bool,
        progress: Callable[[int], None],
    ) -> tuple[Check, ...]:
        """The checks made; differences are failed checks."""


def verify_family(
    folder: Path,
    *,
    variants: Sequence[str],
    checkpoint: Checkpoint | None,
    answers: Callable[[], AnswerCheck | str] | str,
    graphs: Callable[[], GraphCheck | str],
    progress: Progress,
) -> Report:
    """Verify the family at `folder`; returns a report, in which whatever is wrong is a failed check.

    `variants` limits the work to these ids (empty: all), `checkpoint` is the source to compare with, if any. `answers`
    imports what runs the variants, once it is needed, or gives the reason why they cannot be run, or is the reason for
    not running them; `graphs` does so for the ONNX form of a family that has one. What depends on a failed check is
    skipped: damaged files are not run. Raises DocumentError for an unknown id.
    """
    try:
        manifest = open_family(folder)
    except TrimoeError as error:
        return Report(folder=str(folder), checks=(Check(name="manifest", outcome=FAILED, detail=str(error)),))
    chosen = tuple(manifest.variant(variant) for variant in variants) or manifest.variants
    # Absolute, so that what is cut from messages cannot be the beginning of another relative path.
    root = folder.absolute()
    run = _Run(root, manifest, chosen, progress)
    try:
        run.manifest_check()
        run.file_checks([variant.id for variant in chosen] if variants else [])
        run.structure_checks()
        if checkpoint is not None:
            run.source_check(checkpoint)
        answered = run.answer_checks(answers, checkpoint)
        if graph_types(manifest):
            run.graph_checks(graphs, answers=answered)
    finally:
        progress.end()
    # Inside the report, files are named relative to the family.
    checks = tuple(replace(check, detail=_relative(check.detail, root)) for check in run.checks)
    return Report(folder=str(folder), checks=checks)


def _relative(detail: str, folder: Path) -> str:
    """The sentence with the paths that begin with `folder` relative to it."""
    return re.sub(rf"(?<![^\s'\"(\[]){re.escape(str(folder))}/", "", detail)


class _Run:
    """One verification: the checks made so far."""

    def __init__(
        self, folder: Path, manifest: Manifest, variants: tuple[VariantRecord, ...], progress: Progress
    ) -> None:
        self._folder = folder
        self._manifest = manifest
        self._variants = variants
        self._progress = progress
        self.checks: list[Check] = []

    def manifest_check(self) -> None:
        """Say what the manifest describes."""
        source = self._manifest.source
        synthetic = ", random weights" if source.synthetic else ""
        count = counted(len(self._manifest.variants), "variant")
        detail = (
            f"{count} of {source.name} ({source.architecture}{synthetic}), written by trimoe {self._manifest.trimoe}"
        )
        self.checks.append(Check(name="manifest", outcome=PASSED, detail=detail))

    def file_checks(self, variants: Sequence[str]) -> None:
        """Compare names, sizes and digests with the manifest."""
        records = selected_records(self._manifest, variants)
        self._try("files", lambda: check_listing(self._folder, self._manifest, records))
        self._try("digests", lambda: self._digests(records))

    def _digests(self, records: Sequence[FileRecord]) -> str:
        present = regular_files(self._folder, records)
        self._progress.begin("reading files", sum(record.size for record in present if record.link_of is None))
        return check_contents(self._folder, present, self._progress.advance)

    def structure_checks(self) -> None:
        """Compare configs, indexes, headers and code with the manifest."""
        self._try("structure", lambda: check_variants(self._folder, self._manifest, self._variants))
        version = importlib.metadata.version("trimoe")
        try:
            outcome, detail = check_code(self._folder, self._manifest, self._variants, version=version)
        except (TrimoeError, OSError) as error:
            outcome, detail = FAILED, _said(error)
        self.checks.append(Check(name="code", outcome=outcome, detail=detail))

    def source_check(self, checkpoint: Checkpoint) -> None:
        """Compare the source's tensors with the recorded digests."""
        self._progress.begin("reading source", source_bytes(checkpoint))
        self._try("source", lambda: check_source(self._folder, self._manifest, checkpoint, self._progress.advance))

    def answer_checks(self, answers: Callable[[], AnswerCheck | str] | str, checkpoint: Checkpoint | None) -> bool:
        """Run the variants, unless something they depend on is damaged; returns whether they can be run here."""
        failed = self._failed()
        verify_answers = answers if isinstance(answers, str) else _unless(failed, "not run", answers)
        if isinstance(verify_answers, str):
            self.checks.append(Check(name="logits", outcome=SKIPPED, detail=verify_answers))
            return False
        unique = sum(record.size for record in self._manifest.files if record.path.startswith(f"{WEIGHTS}/"))
        self._progress.begin("running", unique + (0 if checkpoint is None else source_bytes(checkpoint)))
        code = next(check.outcome for check in self.checks if check.name == "code")
        self.checks += verify_answers(
            folder=self._folder,
            manifest=self._manifest,
            variants=self._variants,
            checkpoint=checkpoint,
            run_code=code == PASSED,
            progress=self._progress.advance,
        )
        return True

    def graph_checks(self, graphs: Callable[[], GraphCheck | str], *, answers: bool) -> None:
        """Check the graphs, unless something is damaged; with `answers` also run them."""
        failed = self._failed()
        verify_graphs = _unless(failed, "not checked", graphs)
        if isinstance(verify_graphs, str):
            self.checks.append(Check(name="onnx", outcome=SKIPPED, detail=verify_graphs))
            return
        self._progress.begin(
            "running onnx", sum(variant.bytes for variant in self._variants) * len(graph_types(self._manifest))
        )
        self.checks += verify_graphs(
            folder=self._folder,
            manifest=self._manifest,
            variants=self._variants,
            answers=answers,
            progress=self._progress.advance,
        )

    def _failed(self) -> str:
        """The names of the failed checks; empty without any."""
        return ", ".join(check.name for check in self.checks if check.outcome == FAILED)

    def _try(self, name: str, check: Callable[[], str]) -> None:
        try:
            self.checks.append(Check(name=name, outcome=PASSED, detail=check()))
        except (TrimoeError, OSError) as error:
            self.checks.append(Check(name=name, outcome=FAILED, detail=_said(error)))


def _unless(failed: str, what: str, load: Callable[[], Loaded | str]) -> Loaded | str:
    """What `load` gives, or why it was not asked: because of the `failed` checks."""
    return f"{what}, because of: {failed}" if failed else load()


def _said(error: Exception) -> str:
    return f"{error.filename}: cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
