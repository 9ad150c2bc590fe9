"""Verify a variant that was copied out of a family: its files, bytes, structure, code, and what it answers."""

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace as with_fields

from exporter.checkpoint.checkpoint import Checkpoint
from exporter.family.existing import graph_types
from exporter.family.standalone_layout import seen_from_trimoe
from exporter.verify.family_files import check_listing, open_family
from exporter.verify.report import Report
from exporter.verify.verification import AnswerCheck, Verification, describe_source
from runtime.documents.check import FAILED, Check
from runtime.documents.family_files import place_in_copy
from runtime.documents.family_layout import MANIFEST, STANDALONE
from runtime.documents.manifest import FileRecord, Manifest
from runtime.errors import TrimoeError, VerificationError
from runtime.text.progress import Progress


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
        manifest = seen_from_trimoe(stated)
        run = Verification(place / STANDALONE, manifest, manifest.variants, progress)
        run.attempt("manifest", lambda: _describe(stated))
        _check_files(run, place, stated)
        run.structure_checks()
        if checkpoint is not None:
            run.source_check(checkpoint)
        run.answer_checks(answers, checkpoint, weight_bytes=sum(variant.bytes for variant in stated.variants))
        _check_graphs(run, place, stated, graphs)
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


def _describe(stated: Manifest) -> str:
    (variant,) = stated.variants
    return f"{variant.id} of {describe_source(stated)}, copied out of a family written by trimoe {stated.trimoe}"


def _check_files(run: Verification, folder: Path, stated: Manifest) -> None:
    """Compare names, sizes and digests with the manifest."""
    own = FileRecord(path=f"{STANDALONE}/{MANIFEST}", size=0, sha256="", link_of=None)
    records = tuple(with_fields(r, path=place_in_copy(r.path)) for r in stated.files)
    listing = with_fields(stated, files=(*records, own))
    run.attempt("files", lambda: check_listing(folder, listing, records))
    present = tuple(record for record in run.manifest.files if _is_regular(run.folder / record.path))
    run.digest_check(lambda: present)


def _check_graphs(
    run: Verification, folder: Path, stated: Manifest, graphs: Callable[[], GraphTest | str] | str
) -> None:
    """Run the graphs, where the copy has any."""
    if not graph_types(stated):
        return
    check = run.unless_failed("not run", graphs)
    if isinstance(check, str):
        run.skip("onnx", check)
        return
    run.progress.begin("running onnx", 0)
    run.checks += check(folder=folder, manifest=stated)


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False
