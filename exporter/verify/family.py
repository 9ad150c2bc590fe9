"""Verify a family on disk, everything its export verified and more: files, bytes, structure, code, source and
answers."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from exporter.checkpoint.checkpoint import Checkpoint
from exporter.family.existing import graph_types
from exporter.verify.family_files import check_listing, open_family, regular_files, selected_records
from exporter.verify.report import Report
from exporter.verify.verification import AnswerCheck, Verification, describe_source
from runtime.documents.check import FAILED, Check
from runtime.documents.family_layout import WEIGHTS
from runtime.documents.manifest import Manifest, VariantRecord
from runtime.errors import TrimoeError
from runtime.text.counted import counted
from runtime.text.progress import Progress


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
    run = Verification(root, manifest, chosen, progress)
    try:
        run.attempt("manifest", lambda: _describe(manifest))
        _check_files(run, [variant.id for variant in chosen] if variants else [])
        run.structure_checks()
        if checkpoint is not None:
            run.source_check(checkpoint)
        unique = sum(record.size for record in manifest.files if record.path.startswith(f"{WEIGHTS}/"))
        answered = run.answer_checks(answers, checkpoint, weight_bytes=unique)
        if graph_types(manifest):
            _check_graphs(run, graphs, answers=answered)
    finally:
        progress.end()
    # Inside the report, files are named relative to the family.
    checks = tuple(replace(check, detail=_relative(check.detail, root)) for check in run.checks)
    return Report(folder=str(folder), checks=checks)


def _relative(detail: str, folder: Path) -> str:
    """The sentence with the paths that begin with `folder` relative to it."""
    return re.sub(rf"(?<![^\s'\"(\[]){re.escape(str(folder))}/", "", detail)


def _describe(manifest: Manifest) -> str:
    count = counted(len(manifest.variants), "variant")
    return f"{count} of {describe_source(manifest)}, written by trimoe {manifest.trimoe}"


def _check_files(run: Verification, variants: Sequence[str]) -> None:
    """Compare names, sizes and digests with the manifest."""
    records = selected_records(run.manifest, variants)
    run.attempt("files", lambda: check_listing(run.folder, run.manifest, records))
    run.digest_check(lambda: regular_files(run.folder, records))


def _check_graphs(run: Verification, graphs: Callable[[], GraphCheck | str], *, answers: bool) -> None:
    """Check the graphs, unless something is damaged; with `answers` also run them."""
    check = run.unless_failed("not checked", graphs)
    if isinstance(check, str):
        run.skip("onnx", check)
        return
    weights = sum(variant.bytes for variant in run.variants)
    run.progress.begin("running onnx", 2 * weights * len(graph_types(run.manifest)))
    run.checks += check(
        folder=run.folder,
        manifest=run.manifest,
        variants=run.variants,
        answers=answers,
        progress=run.progress.advance,
    )
