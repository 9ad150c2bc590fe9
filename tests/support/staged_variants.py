"""Variant folders as an export would stage them, and their comparison with the masked original."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from exporter.plan.plan import Plan
from exporter.reference.golden_inputs import make_inputs, vocabulary
from exporter.verify.export_answers import VariantFolder, compare_with_source


def staged(plan: Plan, tmp_path: Path) -> Path:
    """The variant folders of a plan, written without export: shards saved per layer by safetensors."""
    tensors: dict[str, torch.Tensor] = {}
    for file in plan.checkpoint.files:
        tensors |= load_file(plan.checkpoint.folder / file.name)
    folder = tmp_path / "staged"
    for shard in plan.shards:
        path = folder / shard.path
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({tensor.name: tensors[tensor.source.name] for tensor in shard.tensors}, path, {"format": "pt"})
    for variant in plan.variants:
        place = folder / "variants" / variant.id
        place.mkdir(parents=True)
        (place / "config.json").write_text(json.dumps(variant.config), "utf-8")
        names = {shard.path: [tensor.name for tensor in shard.tensors] for shard in plan.shards}
        weight_map = {name: Path(path).name for path in variant.shards for name in names[path]}
        (place / "model.safetensors.index.json").write_text(
            json.dumps({"metadata": {}, "weight_map": weight_map}), "utf-8"
        )
        for path in variant.shards:
            (place / Path(path).name).hardlink_to(folder / path)
    return folder


def compare(plan: Plan, folder: Path) -> tuple[dict[str, Any], int]:
    shapes = [
        VariantFolder(id=v.id, folder=folder / "variants" / v.id, layers=v.layers, top_k=v.top_k, bytes=v.bytes)
        for v in plan.variants
    ]
    told = 0

    def progress(count: int) -> None:
        nonlocal told
        told += count

    inputs = make_inputs(plan.checkpoint.config, vocabulary=vocabulary(plan.checkpoint))
    return compare_with_source(plan.checkpoint, plan.architecture, shapes, inputs=inputs, progress=progress), told


def exchanged_layers(first: Path, second: Path) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The tensors for the shards of layers 1 and 2 where each has the other's weights, under the right names."""
    of_first, of_second = load_file(first), load_file(second)
    return (
        {name.replace("layers.2.", "layers.1."): tensor for name, tensor in of_second.items()},
        {name.replace("layers.1.", "layers.2."): tensor for name, tensor in of_first.items()},
    )
