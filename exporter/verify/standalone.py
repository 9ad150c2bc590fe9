"""Verify a variant that was copied out of a family: its files, bytes, structure, code, and what it answers."""

import importlib.metadata
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from msgspec.structs import replace as with_fields

from exporter.checkpoint.checkpoint import Checkpoint
from exporter.family.existing import graph_types
from exporter.family.standalone_layout import place_in_copy, seen_from_trimoe
from exporter.verify.family import AnswerCheck
from exporter.verify.family_digests import check_contents
from exporter.verify.family_files import check_listing, open_family
from exporter.verify.family_source import check_source, source_bytes
from exporter.verify.family_structure import check_code, check_variants
from exporter.verify.report import Report
from runtime.documents.check import FAILED, PASSED, SKIPPED, Check
from runtime.documents.family_layout import MANIFEST, STANDALONE
from runtime.documents.manifest import FileRecord, Manifest
from runtime.errors import TrimoeError, VerificationError
from runtime.text.progress import Progress

Runner = TypeVar("Runner")


class GraphTest(Protocol):
    """Runs the copy's graphs on their golden inputs (exporter.verify.standalone_graphs.check_graphs, which needs
    onnxruntime)."""

    def __call__(self, *, folder: Path, manifest: Manifest) -> tuple[Check, ...]:
        """The checks made; differences are failed checks."""


def verify_standalone(
    folder: Path,
    *,
    checkpoint: Checkpoint | None,
    answers: Callable[[], AnswerCheck | str] | str,
    graphs: Callable[[], GraphTest | str] | str,
    progress: Progress,
) -> Report:
    """Verify the copy at `folder`; returns a report, in which whatever is wrong is a failed check.

    Its digests, structure, code and golden outputs are checked as those of a family are, with the folder trimoe/ as the
    family's. Its graphs are not planned again, as they stand on the weights of the whole family: their bytes are those
    that were verified at export, and their golden outputs are repeated. `answers` and `graphs` import what runs the
    variant and its graphs once that is needed, or give the reason why it cannot be run, or are the reason for not
    running it. What depends on a failed check is skipped: damaged files are not run.
    """
    place = folder.absolute()
    try:
        stated = _open(place)
        run = _Run(place, stated, progress)
        run.file_checks()
        run.structure_checks(checkpoint)
        run.answer_checks(answers, checkpoint)
        run.graph_checks(graphs)
    except TrimoeError as error:
        return Report(folder=str(folder), checks=(Check(name="manifest", outcome=FAILED, detail=str(error)),))
    finally:
        progress.end()
    # Inside the report, files are named relative to the copy.
    inside = (f"{place / STANDALONE}/../", f"{place}/")
    checks = (with_fields(check, detail=_without(check.detail, inside)) for check in run.checks)
    return Report(folder=str(folder), checks=tuple(checks))


def _without(detail: str, prefixes: Sequence[str]) -> str:
    for prefix in prefixes:
        detail = detail.replace(prefix, "")
    return detail


def _open(folder: Path) -> Manifest:
    """The manifest of the copy. Raises VerificationError."""
    root = folder / STANDALONE
    if root.is_symlink():
        raise VerificationError(f"{root}: a symbolic link to {root.readlink()}, not a folder of the copy")
    manifest = open_family(root)
    if len(manifest.variants) != 1:
        raise VerificationError(f"{root / MANIFEST}: lists {len(manifest.variants)} variants; a copy is one")
    return manifest


class _Run:
    """One verification: the checks made so far."""

    def __init__(self, folder: Path, stated: Manifest, progress: Progress) -> None:
        self._folder, self._root = folder, folder / STANDALONE
        self._stated, self._manifest = stated, seen_from_trimoe(stated)
        self._progress = progress
        (variant,) = stated.variants
        source = stated.source
        synthetic = ", random weights" if source.synthetic else ""
        detail = f"{variant.id} of {source.name} ({source.architecture}{synthetic}), copied out of a family"
        self.checks = [Check(name="manifest", outcome=PASSED, detail=f"{detail} written by trimoe {stated.trimoe}")]

    def file_checks(self) -> None:
        """Compare names, sizes and digests with the manifest."""
        (variant,) = self._stated.variants
        own = FileRecord(path=f"{STANDALONE}/{MANIFEST}", size=0, sha256="", link_of=None)
        records = tuple(with_fields(r, path=place_in_copy(r.path, variant)) for r in self._stated.files)
        listing = with_fields(self._stated, files=(*records, own))
        self._try("files", lambda: check_listing(self._folder, listing, records))
        present = tuple(record for record in self._manifest.files if _is_regular(self._root / record.path))
        self._progress.begin("reading files", sum(record.size for record in present))
        self._try("digests", lambda: check_contents(self._root, present, self._progress.advance))

    def structure_checks(self, checkpoint: Checkpoint | None) -> None:
        """Compare config, index, headers and code with the manifest, and the source's tensors with their digests."""
        root, manifest = self._root, self._manifest
        self._try("structure", lambda: check_variants(root, manifest, manifest.variants))
        version = importlib.metadata.version("trimoe")
        try:
            outcome, detail = check_code(root, manifest, manifest.variants, version=version)
        except (TrimoeError, OSError) as error:
            outcome, detail = FAILED, _said(error)
        self.checks.append(Check(name="code", outcome=outcome, detail=detail))
        if checkpoint is not None:
            self._progress.begin("reading source", source_bytes(checkpoint))
            self._try("source", lambda: check_source(root, manifest, checkpoint, self._progress.advance))

    def answer_checks(self, answers: Callable[[], AnswerCheck | str] | str, checkpoint: Checkpoint | None) -> None:
        """Run the variant."""
        check = self._unless_failed(answers)
        if isinstance(check, str):
            self.checks.append(Check(name="logits", outcome=SKIPPED, detail=check))
            return
        variants = self._manifest.variants
        self._progress.begin("running", variants[0].bytes + (0 if checkpoint is None else source_bytes(checkpoint)))
        self.checks += check(
            folder=self._root,
            manifest=self._manifest,
            variants=variants,
            checkpoint=checkpoint,
            run_code=any(found.name == "code" and found.outcome == PASSED for found in self.checks),
            progress=self._progress.advance,
        )

    def graph_checks(self, graphs: Callable[[], GraphTest | str] | str) -> None:
        """Run the graphs, where the copy has any."""
        if not graph_types(self._stated):
            return
        check = self._unless_failed(graphs)
        if isinstance(check, str):
            self.checks.append(Check(name="onnx", outcome=SKIPPED, detail=check))
            return
        self._progress.begin("running onnx", 0)
        self.checks += check(folder=self._folder, manifest=self._stated)

    def _unless_failed(self, runner: Callable[[], Runner | str] | str) -> Runner | str:
        failed = [check.name for check in self.checks if check.outcome == FAILED]
        if failed and not isinstance(runner, str):
            return f"not run, because of: {', '.join(failed)}"
        return runner if isinstance(runner, str) else runner()

    def _try(self, name: str, check: Callable[[], str]) -> None:
        try:
            self.checks.append(Check(name=name, outcome=PASSED, detail=check()))
        except (TrimoeError, OSError) as error:
            self.checks.append(Check(name=name, outcome=FAILED, detail=_said(error)))


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _said(error: Exception) -> str:
    return f"{error.filename}: cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
