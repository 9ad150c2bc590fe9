"""The matrices of a family, counted from the headers of its weight files: what a token is multiplied by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from exporter.architectures.architecture import Architecture
from exporter.architectures.find import manifest_architecture
from exporter.checkpoint.safetensors_header import TensorRecord, read_header
from runtime.documents.checked_json import read_document
from runtime.documents.family_layout import CONFIG, NON_BLOCK_SHARD, shard_path
from runtime.documents.manifest import Manifest
from runtime.errors import CheckpointError

POOLING = ("image_pooling_h", "image_pooling_w")


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockShape:
    """Elements of the matrices of a block: those that every token meets (attention, router, dense or shared MLP), and
    those of one of its `experts` (both 0 in a dense block). `query_width` is that of all heads together, `cache_width`
    the keys and values of one position."""

    shared: int
    expert: int
    experts: int
    query_width: int
    cache_width: int


@dataclass(frozen=True, kw_only=True, slots=True)
class VisionShape:
    """Elements of the tower, which `patches` image patches for each vision token go through, and of what follows it."""

    tower: int
    projector: int
    patches: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FamilyShape:
    """The blocks of each variant, the elements of the head, and the vision part (None: a model of text)."""

    variants: Mapping[str, tuple[BlockShape, ...]]
    head: int
    vision: VisionShape | None


def read_shape(folder: Path, manifest: Manifest) -> FamilyShape:
    """Count the matrices of a family. Raises DocumentError and CheckpointError for files that cannot be read,
    VerificationError for an architecture that this trimoe does not know."""
    architecture = manifest_architecture(manifest)
    places = {block: layer for variant in manifest.variants for layer, block in enumerate(variant.layers)}
    blocks = {
        block: _block(architecture, read_header(folder / shard_path(block, layer))[0])
        for block, layer in places.items()
    }
    other, _, _ = read_header(folder / NON_BLOCK_SHARD)
    return FamilyShape(
        variants={one.id: tuple(blocks[block] for block in one.layers) for one in manifest.variants},
        head=_head(architecture, other),
        vision=_vision(architecture, other, folder / manifest.variants[0].folder),
    )


def _block(architecture: Architecture, tensors: Sequence[TensorRecord]) -> BlockShape:
    named = {split[1]: tensor for tensor in tensors if (split := architecture.split_name(tensor.name)) is not None}
    matrices = {name: tensor for name, tensor in named.items() if len(tensor.shape) > 1}
    pattern = architecture.expert_pattern
    owners = {name: found[1] for name in matrices if pattern is not None and (found := pattern.match(name))}
    experts = set(owners.values())
    expert = sum(matrices[name].parameters for name in owners) // max(len(experts), 1)
    query, cache = _attention(architecture, named)
    shared = sum(tensor.parameters for name, tensor in matrices.items() if name not in owners)
    return BlockShape(shared=shared, expert=expert, experts=len(experts), query_width=query, cache_width=cache)


def _attention(architecture: Architecture, named: Mapping[str, TensorRecord]) -> tuple[int, int]:
    """The width of the queries, and that of keys and values together."""
    parts = architecture.decoder
    query = _matrix(named, parts.attention_output).shape[1]
    rows = sum(_matrix(named, name).shape[0] for name in parts.query_key_value)
    return query, rows - query


def _matrix(named: Mapping[str, TensorRecord], name: str) -> TensorRecord:
    found = named.get(f"{name}.weight")
    if found is None or len(found.shape) != 2:
        file = next(iter(named.values())).file if named else "a block"
        raise CheckpointError(f"{file}: no matrix {name}.weight, which the attention of a block has")
    return found


def _head(architecture: Architecture, tensors: Sequence[TensorRecord]) -> int:
    """The elements of the head; where it has no tensor of its own, those of the first embeddings."""
    sizes = {tensor.name: tensor.parameters for tensor in tensors}
    parts = architecture.decoder
    return sizes.get(parts.head, sizes.get(parts.embeddings[0], 0))


def _vision(architecture: Architecture, tensors: Sequence[TensorRecord], variant: Path) -> VisionShape | None:
    stacks, parts = architecture.tensors.other_stacks, architecture.decoder
    if not stacks:
        return None
    known = {*parts.embeddings, parts.final_norm, parts.head}
    seen = [tensor for tensor in tensors if tensor.name not in known and len(tensor.shape) > 1]
    tower = sum(tensor.parameters for tensor in seen if tensor.name.startswith(stacks))
    config, patches = read_document(variant / CONFIG), 1
    for key in POOLING:
        if (node := config.get(key)) is not None:
            patches *= node.integer(minimum=1)
    projector = sum(tensor.parameters for tensor in seen) - tower
    return VisionShape(tower=tower, projector=projector, patches=patches)
