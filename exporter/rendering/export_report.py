"""What an export did, as text for people, laid out for their terminal, and as a JSON document for programs."""

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exporter.export import ExportResult
from exporter.plan.plan import Plan
from exporter.rendering.plan_table import show_notes, show_totals, show_variants
from runtime.documents.manifest import Manifest
from runtime.documents.schema import fields_of
from runtime.text.counted import counted
from runtime.text.one_line import one_line
from runtime.text.sizes import show_bytes
from runtime.text.tables import Column, show_table
from runtime.text.terminal import wrapped

FORMAT = "trimoe.export"
VERSION = 1
COPYING = ("writing", "comparing")


def show_export(plan: Plan, result: ExportResult, seconds: Mapping[str, float], *, width: int | None) -> str:
    """The variants, what was verified of them, what it took and where it is. `seconds` are those of each phase; lines
    have at most `width` columns (None: nothing is wrapped)."""
    parts = [
        show_variants(plan.variants, width=width),
        show_totals(plan, width=width),
        show_checks(result.manifest, width=width),
        _show_outcome(plan, result, seconds, width),
    ]
    notes = show_notes((*plan.choice.notes, *result.notes), width=width)
    return "\n\n".join([*parts, notes] if notes else parts)


def show_checks(manifest: Manifest, *, width: int | None) -> str:
    """One line for each kind of check: how many variants passed it, and why any were skipped."""
    outcomes: dict[str, Counter[str]] = {}
    for variant in manifest.variants:
        for check in variant.checks:
            outcomes.setdefault(check.name, Counter())[
                check.outcome if check.outcome == "passed" else f"{check.outcome}: {check.detail}"
            ] += 1
    total = len(manifest.variants)
    rows = [
        (name, "; ".join(f"{count} of {total} {outcome}" for outcome, count in counts.items()))
        for name, counts in outcomes.items()
    ]
    return show_table((Column(head=""), Column(head="", wraps=True)), rows, width=width)


def _show_outcome(plan: Plan, result: ExportResult, seconds: Mapping[str, float], width: int | None) -> str:
    disk = show_bytes(disk_bytes(result.manifest))
    if result.up_to_date:
        return f"Already there, with the same weights: {one_line(str(result.folder))} ({disk}).\nNothing was written."
    phases = ", ".join(f"{phase} {value:.1f}" for phase, value in seconds.items())
    copying = sum(seconds.get(phase, 0.0) for phase in COPYING)
    rate = (
        f"; copied and compared at {show_bytes(round(plan.bytes / copying))}/s"
        if copying > 0 and not result.resumed
        else ""
    )
    kept = counted(result.resumed, "weight file")
    resumed = f" {kept} kept from an interrupted export." if result.resumed else ""
    text = f"{disk} in {sum(seconds.values()):.1f} s ({phases}){rate}.{resumed}"
    return "\n".join([f"Exported to {one_line(str(result.folder))}", *wrapped(text, width)])


def disk_bytes(manifest: Manifest) -> int:
    """The bytes of all files listed, those with several names counted once."""
    return sum(record.size for record in manifest.files if record.link_of is None)


def show_path(path: Path) -> str:
    """A path as text that UTF-8 can hold: other bytes of it as \\xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def export_document(plan: Plan, result: ExportResult, seconds: Mapping[str, float]) -> dict[str, Any]:
    """The outcome as a JSON object with stable keys; `seconds` by phase."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "folder": show_path(result.folder),
        "up_to_date": result.up_to_date,
        "resumed": result.resumed,
        "tensor_bytes": plan.bytes,
        "disk_bytes": disk_bytes(result.manifest),
        "files": len(result.manifest.files),
        "seconds": {phase: round(value, 3) for phase, value in seconds.items()},
        "variants": [
            {"id": v.id, "folder": v.folder, "golden": v.golden, "checks": [fields_of(check) for check in v.checks]}
            for v in result.manifest.variants
        ],
        "notes": [*plan.choice.notes, *result.notes],
    }
