"""A plan as text of at most 80 columns for people, and as a JSON document for programs."""

import textwrap
from collections.abc import Sequence
from typing import Any

from exporter.plan.plan import Plan, PlannedVariant
from runtime.documents.schema import fields_of
from runtime.text.sizes import show_bytes, show_count

WIDTH = 80
FORMAT = "trimoe.plan"
VERSION = 1
HEADS = ("variant", "removed", "drop in points", "params", "active", "size", "shared")
REMOVED = 1
DROP = 2
LEAST_REMOVED = 8


def show_plan(plan: Plan) -> str:
    """The whole plan: the variants' table, the totals, and the notes, each line at most 80 columns."""
    parts = [show_variants(plan.variants), show_totals(plan)]
    notes = show_notes(plan.choice.notes)
    return "\n\n".join([*parts, notes] if notes else parts)


def show_variants(variants: Sequence[PlannedVariant]) -> str:
    """One row per variant: id, removed blocks, drop ± spread in points (number of data sets), parameters, bytes, bytes
    shared with others.

    The column of drops is left out where no variant has one.
    """
    rows = [HEADS, *(_row(variant) for variant in variants)]
    if all(variant.drop is None for variant in variants):
        rows = [(*row[:DROP], *row[DROP + 1 :]) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    spare = WIDTH - sum(widths[REMOVED + 1 :]) - 2 * (len(widths) - 1)
    widths[0] = min(widths[0], spare - LEAST_REMOVED)
    widths[REMOVED] = min(widths[REMOVED], spare - widths[0])
    return "\n".join(line for row in rows for line in _lines(row, widths))


def _row(variant: PlannedVariant) -> tuple[str, ...]:
    drop = (
        "–"
        if variant.drop is None
        else f"{variant.drop.mean * 100:.2f} ± {variant.drop.std * 100:.2f} ({len(variant.drop.datasets)})"
    )
    return (
        variant.id,
        " ".join(map(str, variant.removed)) or "–",
        drop,
        show_count(variant.parameters),
        show_count(variant.active_parameters),
        show_bytes(variant.bytes),
        show_bytes(variant.shared_bytes),
    )


def _lines(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    """A row of the table. Removed blocks that do not fit go on in the lines below; an id that does not fit gets a line
    of its own."""
    before = [] if len(cells[0]) <= widths[0] else [cells[0]]
    wrapped = textwrap.wrap(cells[REMOVED], widths[REMOVED])
    first = ["" if before else cells[0], wrapped[0], *cells[REMOVED + 1 :]]
    padded = [
        cell.ljust(width) if i <= REMOVED else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(first, widths, strict=True))
    ]
    return [*before, "  ".join(padded).rstrip(), *(" " * (widths[0] + 2) + line for line in wrapped[1:])]


def show_totals(plan: Plan) -> str:
    """How many bytes the family takes with its shared files, how many its variants would take apart, and how blocks
    were chosen."""
    apart = sum(variant.bytes for variant in plan.variants)
    variants = f"{len(plan.variants)} variant{'' if len(plan.variants) == 1 else 's'}"
    sizes = f"{show_bytes(plan.bytes)} on disk, {show_bytes(apart)} if kept apart"
    total = f"{variants} of {plan.architecture.name} in {len(plan.shards)} weight files: {sizes}."
    protected = f"never removed: {', '.join(map(str, plan.choice.protected))}."
    return "\n".join(textwrap.wrap(total, WIDTH) + textwrap.wrap(f"{_show_choice(plan)}; {protected}", WIDTH))


def _show_choice(plan: Plan) -> str:
    chosen = [entry for entry in plan.choice.evidence if entry.role == "chosen"]
    if not chosen:
        return "Blocks removed as asked"
    strategy = "" if plan.choice.strategy == chosen[0].kind else f", {plan.choice.strategy}"
    return f"Blocks chosen from {chosen[0].file} ({chosen[0].kind}{strategy})"


def show_notes(notes: Sequence[str]) -> str:
    """The notes, one paragraph each; empty when there are none."""
    return "\n".join("\n".join(textwrap.wrap(f"note: {note}", WIDTH, subsequent_indent="  ")) for note in notes)


def plan_document(plan: Plan) -> dict[str, Any]:
    """The plan as a JSON object with stable keys; byte counts are of tensors, without headers and small files."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "source": {
            "folder": str(plan.checkpoint.folder),
            "family": plan.architecture.name,
            "blocks": plan.checkpoint.config[plan.architecture.depth_key],
            "files": [
                {"name": file.name, "size": file.size, "header_sha256": file.header_sha256}
                for file in plan.checkpoint.files
            ],
            "carried": list(plan.checkpoint.carried),
        },
        "choice": fields_of(plan.choice),
        "variants": [_variant_document(variant) for variant in plan.variants],
        "shards": [
            {
                "path": shard.path,
                "block": shard.block,
                "layer": shard.layer,
                "tensors": len(shard.tensors),
                "bytes": sum(tensor.source.bytes for tensor in shard.tensors),
            }
            for shard in plan.shards
        ],
        "bytes": plan.bytes,
        "bytes_apart": sum(variant.bytes for variant in plan.variants),
        "notes": list(plan.choice.notes),
    }


def _variant_document(variant: PlannedVariant) -> dict[str, Any]:
    return {
        "id": variant.id,
        "layers": list(variant.layers),
        "removed": list(variant.removed),
        "top_k": None if variant.top_k is None else list(variant.top_k),
        "drop": None if variant.drop is None else fields_of(variant.drop),
        "model_type": variant.config["model_type"],
        "modeling_files": list(variant.modeling_files),
        "parameters": variant.parameters,
        "active_parameters": variant.active_parameters,
        "bytes": variant.bytes,
        "shared_bytes": variant.shared_bytes,
        "shards": list(variant.shards),
    }
