"""The plan of a family: which variants, which shards, which bytes. Pure values; nothing here reads a file or a
weight."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exporter.architectures.architecture import Architecture
from exporter.checkpoint.checkpoint import Checkpoint, TensorRecord
from exporter.plan.formats import GraphFormat
from runtime.documents.manifest import ChoiceRecord, DropRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedTensor:
    """A tensor to copy: `source` says where its bytes are, `name` what it is called in the target shard."""

    source: TensorRecord
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedShard:
    """One file under weights/: a source block at a layer index (`weights/block-04-layer-03.safetensors`), or all
    non-block tensors.

    `tensors` are in the order in which their data is laid out, back to back, after the header. The data of two shards
    of the same block is the same bytes; only the names in their headers differ.
    """

    path: str
    block: int | None
    layer: int | None
    tensors: tuple[PlannedTensor, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedVariant:
    """One member of the family.

    `layers[i]` is the source block that becomes layer i; `top_k[i]` that layer's number of experts per token (None
    for a dense architecture). `config` is the edited config.json; `modeling_files` the names of files of
    runtime/modeling that travel with the variant (may be empty). `bytes` counts the variant's tensors,
    `shared_bytes` those of them that stand in shards which another variant uses too.
    """

    id: str
    layers: tuple[int, ...]
    removed: tuple[int, ...]
    top_k: tuple[int, ...] | None
    drop: DropRecord | None
    config: Mapping[str, Any]
    modeling_files: tuple[str, ...]
    shards: tuple[str, ...]
    parameters: int
    active_parameters: int
    bytes: int
    shared_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Everything an export will do. `shards` are the unique files under weights/, in writing order; `bytes` their
    tensor bytes. `graphs` are asked for besides (None: safetensors only)."""

    architecture: Architecture
    checkpoint: Checkpoint
    choice: ChoiceRecord
    variants: tuple[PlannedVariant, ...]
    shards: tuple[PlannedShard, ...]
    graphs: GraphFormat | None = None

    @property
    def bytes(self) -> int:
        """Tensor bytes that the family occupies on disk, each unique (block, layer) shard counted once."""
        return sum(tensor.source.bytes for shard in self.shards for tensor in shard.tensors)
