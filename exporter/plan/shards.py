"""The shards of a plan: which files of weights there are, and what stands in them in which order. Pure."""

from collections.abc import Iterable

from exporter.plan.plan import PlannedShard, PlannedTensor
from exporter.plan.source import PlanSource
from runtime.documents.family_layout import NON_BLOCK_SHARD, shard_path


def plan_shards(source: PlanSource, variants: Iterable[tuple[int, ...]]) -> tuple[PlannedShard, ...]:
    """All unique shards of the variants with these `layers`, by block and layer, the non-block tensors last; inside a
    shard by place in the source, to read it in order."""
    files = {file.name: i for i, file in enumerate(source.checkpoint.files)}

    def place(tensor: PlannedTensor) -> tuple[int, int, str]:
        return files[tensor.source.file], tensor.source.begin, tensor.name

    shards = []
    for block, layer in sorted({(block, layer) for layers in variants for layer, block in enumerate(layers)}):
        moved = [
            PlannedTensor(source=record, name=source.architecture.layer_name(layer, name))
            for name, record in source.tensors.blocks[block].items()
        ]
        shards.append(
            PlannedShard(
                path=shard_path(block, layer), block=block, layer=layer, tensors=tuple(sorted(moved, key=place))
            )
        )
    non_block = [PlannedTensor(source=record, name=record.name) for record in source.tensors.non_block]
    tensors = tuple(sorted(non_block, key=place))
    return (*shards, PlannedShard(path=NON_BLOCK_SHARD, block=None, layer=None, tensors=tensors))
