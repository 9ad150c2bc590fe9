"""Small plans, exports of them, and a view of a folder, for the tests of surgery."""

import hashlib
from pathlib import Path
from typing import Any

from exporter.checkpoint.checkpoint import open_checkpoint
from exporter.evidence.evidence import ExplicitRemovals
from exporter.export.job import ExportResult
from exporter.export.transaction import export_family
from exporter.plan.make_plan import make_plan
from exporter.plan.plan import Plan
from exporter.plan.request import PlanRequest
from runtime.text.progress import NoProgress
from tests.support.tiny_checkpoints import write_tiny

REMOVALS = ((), (1,), (1, 3))


def small_source(folder: Path, **options: Any) -> Path:
    """A checkpoint with a tokenizer file beside the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tiny(folder, **options)
    (folder / "tokenizer.json").write_text('{"model": "tiny"}', "utf-8")
    return folder


def small_plan(
    source: Path, *, removals: tuple[tuple[int, ...], ...] = REMOVALS, top_ks: tuple[int, ...] | None = (2, 1)
) -> Plan:
    return make_plan(
        open_checkpoint(source), request=PlanRequest(chosen=ExplicitRemovals(sets=removals), top_ks=top_ks)
    )


def export_small(plan: Plan, target: Path, *, replace: bool = False, logits: Any = None) -> ExportResult:
    return export_family(plan, target, logits=logits, replace=replace, progress=NoProgress())


def digests(folder: Path) -> dict[str, str]:
    """The sha256 of every file of a folder, by relative path."""
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }
