"""A plan as text for people, laid out for their terminal, and as a JSON document for programs."""

from collections.abc import Sequence
from typing import Any

from exporter.plan.plan import Plan, PlannedVariant
from runtime.documents.schema import fields_of
from runtime.text.counted import counted
from runtime.text.sizes import show_bytes, show_count
from runtime.text.tables import Column, show_table
from runtime.text.terminal import wrapped

FORMAT = "trimoe.plan"
VERSION = 1
COLUMNS: tuple[Column, ...] = (
    Column(head="variant"),
    Column(head="removed", wraps=True),
    Column(head="drop in points", right=True),
    Column(head="params", right=True),
    Column(head="active", right=True),
    Column(head="size", right=True),
    Column(head="shared", right=True),
)
DROP = 2


def show_plan(plan: Plan, *, width: int | None) -> str:
    """The whole plan: the variants' table, the totals, and the notes, each line at most `width` columns (None: nothing
    is wrapped)."""
    parts = [show_variants(plan.variants, width=width), show_totals(plan, width=width)]
    notes = show_notes(plan.choice.notes, width=width)
    return "\n\n".join([*parts, notes] if notes else parts)


def show_variants(variants: Sequence[PlannedVariant], *, width: int | None) -> str:
    """One row per variant: id, removed blocks, drop ± spread in points (number of data sets), parameters, bytes, bytes
    shared with others.

    The column of drops is left out where no variant has one.
    """
    columns, rows = COLUMNS, [_row(variant) for variant in variants]
    if all(variant.drop is None for variant in variants):
        columns, rows = (*columns[:DROP], *columns[DROP + 1 :]), [(*row[:DROP], *row[DROP + 1 :]) for row in rows]
    return show_table(columns, rows, width=width)


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


def show_totals(plan: Plan, *, width: int | None) -> str:
    """How many bytes the family takes with its shared files, how many its variants would take apart, and how blocks
    were chosen."""
    apart = sum(variant.bytes for variant in plan.variants)
    variants = counted(len(plan.variants), "variant")
    sizes = f"{show_bytes(plan.bytes)} on disk, {show_bytes(apart)} if kept apart"
    total = f"{variants} of {plan.architecture.name} in {len(plan.shards)} weight files: {sizes}."
    protected = f"never removed: {', '.join(map(str, plan.choice.protected))}."
    return "\n".join(wrapped(total, width) + wrapped(f"{_show_choice(plan)}; {protected}", width))


def _show_choice(plan: Plan) -> str:
    chosen = [entry for entry in plan.choice.evidence if entry.role == "chosen"]
    if not chosen:
        return "Blocks removed as asked"
    strategy = "" if plan.choice.strategy == chosen[0].kind else f", {plan.choice.strategy}"
    return f"Blocks chosen from {chosen[0].file} ({chosen[0].kind}{strategy})"


def show_notes(notes: Sequence[str], *, width: int | None) -> str:
    """The notes, one paragraph each; empty when there are none."""
    return "\n".join(line for note in notes for line in wrapped(f"note: {note}", width, indent="  "))


def plan_document(plan: Plan) -> dict[str, Any]:
    """The plan as a JSON object with stable keys; byte counts are of tensors, without headers and small files."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "source": {
            "folder": str(plan.checkpoint.folder),
            "family": plan.architecture.name,
            "blocks": plan.checkpoint.config[plan.architecture.config.depth_key],
            "files": [
                {"name": file.name, "size": file.size, "header_sha256": file.header_sha256}
                for file in plan.checkpoint.files
            ],
            "carried": list(plan.checkpoint.auxiliary),
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
