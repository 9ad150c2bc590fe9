"""Families exported from tiny models for the tests of verification, each with its source beside it."""

from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

from exporter.checkpoint.checkpoint import open_checkpoint
from exporter.evidence.evidence import ExplicitRemovals
from exporter.export.transaction import export_family
from exporter.plan.make_plan import make_plan
from exporter.plan.plan import Plan
from exporter.plan.request import PlanRequest
from exporter.reference.load_check import LoadTarget
from exporter.verify import export_answers as verify
from runtime.documents.check import Check
from runtime.text.progress import NoProgress
from tests.support import tiny_models, tiny_transformers

SOURCES: tuple[str, ...] = ("molmoe", *tiny_transformers.TINY)
REMOVALS = ((), (2,), (1, 3))


def write_source(family: str, folder: Path) -> Path:
    """A tiny source checkpoint of the family."""
    if family == "molmoe":
        return tiny_models.write_tiny_molmoe(folder, n_layers=tiny_transformers.BLOCKS)
    return tiny_transformers.write_tiny(family, folder)


def tiny_plan(family: str, source: Path, *, removals: tuple[tuple[int, ...], ...] = REMOVALS) -> Plan:
    """Three depths, times the source's top_k and 1 where there are experts."""
    top_ks = None if family == "llama" else ((2, 1) if family == "mixtral" else (4, 1))
    return make_plan(
        open_checkpoint(source), request=PlanRequest(chosen=ExplicitRemovals(sets=removals), top_ks=top_ks)
    )


def without_loading(_family: Path, targets: list[LoadTarget]) -> dict[str, Check]:
    """Stands in for `check_loads`, which starts a process and imports torch there."""
    return {
        target.golden.variant: Check(name="loads", outcome="skipped", detail="not in this test") for target in targets
    }


def export_tiny(family: str, folder: Path, *, logits: bool = True, loads: bool = False) -> tuple[Plan, Path]:
    """Export a tiny family below `folder`; returns its plan and where it is. The source is `folder`/source."""
    plan = tiny_plan(family, write_source(family, folder / "source"))
    target = folder / "family"
    check: Callable[..., dict[str, verify.LogitResult]] | None = verify.check_logits if logits else None
    with patch.object(verify, "check_loads", verify.check_loads if loads else without_loading):
        export_family(plan, target, logits=check, replace=False, progress=NoProgress())
    return plan, target
