"""The manifest's view of a plan: the record of the source, of each variant, and the identity that a staged export is
resumed by. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from exporter.architectures.dimensions import read_dimensions
from exporter.checkpoint.checkpoint import source_digest
from exporter.plan.plan import Plan, PlannedVariant
from runtime.documents.check import Check
from runtime.documents.checked_json import as_json
from runtime.documents.family_layout import CONFIG, variant_folder
from runtime.documents.manifest import SourceRecord, VariantRecord
from runtime.documents.schema import fields_of

# Raised whenever the same plan would give other bytes: what an older trimoe staged is then not resumed.
LAYOUT = 1
SYNTHETIC_KEY = "trimoe_synthetic"


def source_record(plan: Plan) -> SourceRecord:
    """The source as the manifest names it."""
    checkpoint = plan.checkpoint
    shape = read_dimensions(plan.architecture, checkpoint.config, file=str(checkpoint.folder / CONFIG))
    return SourceRecord(
        name=checkpoint.folder.resolve().name,
        architecture=plan.architecture.name,
        digest=source_digest(checkpoint),
        blocks=shape.blocks,
        experts=shape.experts,
        top_k=shape.top_k,
        synthetic=checkpoint.config.get(SYNTHETIC_KEY) is True,
    )


def variant_record(variant: PlannedVariant, *, golden: str | None, checks: tuple[Check, ...]) -> VariantRecord:
    """A variant as the manifest lists it."""
    return VariantRecord(
        id=variant.id,
        folder=variant_folder(variant.id),
        layers=variant.layers,
        removed=variant.removed,
        top_k=variant.top_k,
        drop=variant.drop,
        parameters=variant.parameters,
        active_parameters=variant.active_parameters,
        bytes=variant.bytes,
        shared_bytes=variant.shared_bytes,
        golden=golden,
        checks=checks,
    )


def plan_identity(plan: Plan, auxiliary: Mapping[str, bytes]) -> str:
    """The sha256 over everything that decides the bytes of a family, and over size and time of the source files."""
    value = {
        "layout": LAYOUT,
        "config": plan.checkpoint.config_sha256,
        "files": [
            [file.name, file.size, file.mtime_ns, file.inode, file.header_sha256] for file in plan.checkpoint.files
        ],
        "family": plan.architecture.name,
        "choice": fields_of(plan.choice),
        "variants": [_variant_value(variant) for variant in plan.variants],
        "shards": [[shard.path, [[t.source.name, t.name] for t in shard.tensors]] for shard in plan.shards],
        "graphs": None if plan.graphs is None else asdict(plan.graphs),
        "auxiliary": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(auxiliary.items())},
    }
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _variant_value(variant: PlannedVariant) -> dict[str, Any]:
    record = fields_of(variant_record(variant, golden=None, checks=()))
    return {**record, "config": as_json(variant.config), "shards": variant.shards, "modeling": variant.modeling_files}
