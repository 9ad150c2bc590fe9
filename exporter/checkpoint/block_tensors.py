"""Which tensors of a checkpoint belong to which block, checked against the architecture's rules and the config."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from exporter.architectures.architecture import Architecture
from exporter.architectures.dimensions import ModelDimensions
from exporter.checkpoint.safetensors_header import TensorRecord
from runtime.documents.checked_json import quote
from runtime.errors import CheckpointError

MAX_DIGITS = 9


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockTensors:
    """`blocks[b]` maps what follows the block's prefix to the tensor; `non_block` are all tensors of no block."""

    blocks: tuple[Mapping[str, TensorRecord], ...]
    non_block: tuple[TensorRecord, ...]


def split_blocks(
    architecture: Architecture, dimensions: ModelDimensions, tensors: Iterable[TensorRecord], *, place: str
) -> BlockTensors:
    """Sort tensors by block.

    Raises CheckpointError naming the tensor: a numbered name that no rule covers, an index beyond the depth, a block
    without tensors, an expert missing or too many, a block that lacks a tensor others of its kind (with or without
    experts) have or whose tensor has another shape. `place` names the checkpoint in errors.
    """
    blocks: list[dict[str, TensorRecord]] = [{} for _ in range(dimensions.blocks)]
    non_block = []
    for tensor in tensors:
        split = _split_name(architecture, dimensions, tensor.name, place)
        if split is None:
            _check_non_block(architecture, tensor, place)
            non_block.append(tensor)
        else:
            blocks[split[0]][split[1]] = tensor
    for block, found in enumerate(blocks):
        _check_experts(architecture, dimensions, block, found, place)
    for sparse in (True, False):
        alike = [(block, found) for block, found in enumerate(blocks) if dimensions.sparse[block] is sparse]
        _check_alike(architecture, alike, place)
    return BlockTensors(blocks=tuple(blocks), non_block=tuple(non_block))


def _split_name(
    architecture: Architecture, dimensions: ModelDimensions, name: str, place: str
) -> tuple[int, str] | None:
    """Block and what follows it in a tensor's name, None for a tensor of no block. Refuses blocks beyond the depth."""
    if any(part.isdigit() and len(part) > MAX_DIGITS for part in name.split(".")):
        raise CheckpointError(f"{place}: tensor {quote(name)}: a number of more than {MAX_DIGITS} digits is no index")
    split = architecture.split_name(name)
    if split is not None and split[0] >= dimensions.blocks:
        last = dimensions.blocks - 1
        limit = f"{architecture.config.depth_key} says {dimensions.blocks}, so the blocks are 0–{last}"
        raise CheckpointError(f'{place}: tensor "{name}" belongs to block {split[0]}, but {limit}')
    return split


def _check_non_block(architecture: Architecture, tensor: TensorRecord, place: str) -> None:
    name = tensor.name
    for stack in architecture.tensors.other_stacks:
        name = re.sub(rf"^{re.escape(stack)}[0-9]+\.", "", name)
    if any(part.isdigit() for part in name.split(".")):
        raise CheckpointError(
            f'{place}: tensor "{tensor.name}": a numbered module that '
            f"no rule of architecture {architecture.name} covers"
        )


def _check_experts(
    architecture: Architecture, dimensions: ModelDimensions, block: int, found: Mapping[str, TensorRecord], place: str
) -> None:
    if not found:
        raise CheckpointError(
            f'{place}: no tensor of block {block} ("{architecture.layer_name(block, "…")}"); '
            f"{architecture.config.depth_key} is {dimensions.blocks}"
        )
    if architecture.expert_pattern is None:
        return
    indices = {int(match[1]) for suffix in found if (match := architecture.expert_pattern.match(suffix))}
    wanted = (dimensions.experts or 0) if dimensions.sparse[block] else 0
    name = f"{architecture.tensors.block_prefix}{block}.{architecture.tensors.experts_prefix}"
    lacking = next((expert for expert in range(wanted) if expert not in indices), None)
    if lacking is not None:
        raise CheckpointError(f'{place}: block {block} lacks expert {lacking} ("{name}{lacking}.…"); it needs {wanted}')
    last = max(indices, default=-1)
    if last >= wanted:
        allowed = f"the config says {wanted} experts" if wanted else "the config says this block has none"
        raise CheckpointError(f'{place}: block {block} has an expert {last} ("{name}{last}.…"), but {allowed}')


def _check_alike(architecture: Architecture, blocks: list[tuple[int, dict[str, TensorRecord]]], place: str) -> None:
    every: dict[str, tuple[int, TensorRecord]] = {}
    for block, found in blocks:
        for suffix, tensor in found.items():
            every.setdefault(suffix, (block, tensor))
    for block, found in blocks:
        for suffix, (other, like) in every.items():
            if suffix not in found:
                raise CheckpointError(
                    f'{place}: tensor "{architecture.layer_name(block, suffix)}" is missing; block {other} has it'
                )
            if found[suffix].shape != like.shape:
                shapes = f"{list(found[suffix].shape)}, but {list(like.shape)} in block {other}"
                raise CheckpointError(f'{place}: tensor "{found[suffix].name}" has shape {shapes}')


def expert_parameters(architecture: Architecture, found: Mapping[str, TensorRecord]) -> int:
    """The elements of all experts of one block together."""
    pattern = architecture.expert_pattern
    return 0 if pattern is None else sum(tensor.parameters for suffix, tensor in found.items() if pattern.match(suffix))
