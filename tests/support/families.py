"""Plans and exported families of tiny checkpoints, and views of a family's folder."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from exporter.checkpoint.checkpoint import open_checkpoint
from exporter.evidence.evidence import ExplicitRemovals
from exporter.export.job import ExportResult
from exporter.export.transaction import export_family
from exporter.plan.make_plan import make_plan
from exporter.plan.plan import Plan
from exporter.plan.request import PlanRequest
from exporter.reference.load_check import LoadTarget
from exporter.verify import export_answers
from runtime.documents.check import Check
from runtime.text.progress import NoProgress
from tests.support import tiny_transformers
from tests.support.tiny_checkpoints import write_checkpoint
from tests.support.tiny_molmoe import write_tiny_molmoe

REMOVALS = ((), (1,), (1, 3))
MODEL_REMOVALS = ((), (2,), (1, 3))
ModelFamilies = Callable[[str], tuple[Plan, Path]]
SOURCES: tuple[str, ...] = ("molmoe", *tiny_transformers.TINY)


def bare_source(folder: Path, **options: Any) -> Path:
    """A checkpoint that no model runs, with a tokenizer file beside the weights; `options` go to `write_checkpoint`."""
    write_checkpoint(folder, **options)
    (folder / "tokenizer.json").write_text('{"model": "tiny"}', "utf-8")
    return folder


def model_source(architecture: str, folder: Path) -> Path:
    """A checkpoint that transformers can run."""
    if architecture == "molmoe":
        return write_tiny_molmoe(folder, n_layers=tiny_transformers.BLOCKS)
    return tiny_transformers.write_transformers(architecture, folder)


def plan_family(
    source: Path,
    *,
    removals: tuple[tuple[int, ...], ...] = REMOVALS,
    top_ks: tuple[int, ...] | None = (2, 1),
    **request: Any,
) -> Plan:
    """The plan of a variant for each set of removed blocks, times each top_k where there are experts; `request` are
    further fields of `PlanRequest`."""
    chosen = ExplicitRemovals(sets=removals)
    return make_plan(open_checkpoint(source), request=PlanRequest(chosen=chosen, top_ks=top_ks, **request))


def plan_model(architecture: str, source: Path, *, removals: tuple[tuple[int, ...], ...] = MODEL_REMOVALS) -> Plan:
    """The plan of a `model_source`: three depths, times the source's top_k and 1."""
    top_ks = None if architecture == "llama" else ((2, 1) if architecture == "mixtral" else (4, 1))
    return plan_family(source, removals=removals, top_ks=top_ks)


def export_plan(plan: Plan, target: Path, *, replace: bool = False, logits: Any = None, **forms: Any) -> ExportResult:
    """Export a plan; `forms` are further arguments of `export_family`."""
    return export_family(plan, target, logits=logits, replace=replace, progress=NoProgress(), **forms)


def without_loading(_family: Path, targets: list[LoadTarget], *, blocks_at: str) -> dict[str, Check]:
    """Stands in for `check_loads`, which starts a process and imports torch there."""
    return {
        target.golden.variant: Check(name="loads", outcome="skipped", detail="not in this test") for target in targets
    }


def export_verified(plan: Plan, target: Path, *, loads: bool = False, **forms: Any) -> ExportResult:
    """Export a plan with golden outputs, its logits compared with the masked original's."""
    with patch.object(export_answers, "check_loads", export_answers.check_loads if loads else without_loading):
        return export_plan(plan, target, logits=export_answers.check_logits, **forms)


def copy_family(family: Path, target: Path) -> Path:
    """A copy to be changed; what are links of one file stay links of one file."""
    first: dict[int, Path] = {}

    def copy(source: str, place: str) -> None:
        inode = Path(source).stat().st_ino
        if inode in first:
            Path(place).hardlink_to(first[inode])
        else:
            first[inode] = Path(shutil.copyfile(source, place))

    return Path(shutil.copytree(family, target, copy_function=copy))


def digests(folder: Path) -> dict[str, str]:
    """The sha256 of every file of a folder, by relative path."""
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }
