"""The dimensions of a source model as its config states them: depth, experts, experts per token, and which blocks have
experts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exporter.architectures.architecture import Architecture
from runtime.documents.checked_json import Node

MAX_BLOCKS = 10_000
MAX_EXPERTS = 65_536


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelDimensions:
    """Depth in blocks; experts and top_k (None for a dense architecture); `sparse[b]` is true where block b has
    experts.
    """

    blocks: int
    experts: int | None
    top_k: int | None
    sparse: tuple[bool, ...]


def read_dimensions(architecture: Architecture, config: Mapping[str, Any], *, file: str) -> ModelDimensions:
    """Read and check the fields of a config that give the model's dimensions; `file` names it in errors.

    Raises DocumentError when a field is missing, no integer or out of range, when top_k exceeds the experts, or when
    two spellings of the number of experts disagree.
    """
    node = Node(value=dict(config), file=file)
    blocks = node.require(architecture.config.depth_key).integer(minimum=1, maximum=MAX_BLOCKS)
    if architecture.config.top_k_key is None:
        return ModelDimensions(blocks=blocks, experts=None, top_k=None, sparse=(False,) * blocks)
    experts = _experts(architecture, node)
    top_k = node.require(architecture.config.top_k_key)
    if top_k.integer(minimum=1) > experts:
        top_k.fail(f"{top_k.value} experts per token, but there are only {experts} experts")
    return ModelDimensions(
        blocks=blocks, experts=experts, top_k=top_k.integer(), sparse=_sparse_blocks(architecture, node, blocks)
    )


def _experts(architecture: Architecture, node: Node) -> int:
    given = [found for key in architecture.config.experts_keys if (found := node.get(key)) is not None]
    if not given:
        node.fail(f'the key "{architecture.config.experts_keys[0]}" is missing')
    experts = given[0].integer(minimum=1, maximum=MAX_EXPERTS)
    for other in given[1:]:
        if other.integer() != experts:
            other.fail(f"{other.value}, but {given[0].place} says {experts}")
    return experts


def _sparse_blocks(architecture: Architecture, node: Node, blocks: int) -> tuple[bool, ...]:
    if not architecture.config.sparse_pattern:
        return (True,) * blocks
    step_node, dense_node = node.get("decoder_sparse_step"), node.get("mlp_only_layers")
    step = 1 if step_node is None else step_node.integer(minimum=1)
    if dense_node is None or dense_node.value is None:
        dense = set[int]()
    else:
        dense = {entry.integer(minimum=0, maximum=blocks - 1) for entry in dense_node.elements()}
    return tuple(block not in dense and (block + 1) % step == 0 for block in range(blocks))
