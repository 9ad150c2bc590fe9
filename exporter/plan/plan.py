"""The plan of a family: which variants, which shards, which bytes. Pure values; nothing here reads a file or a
weight."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exporter.architectures.architecture import Architecture
from exporter.architectures.dimensions import ModelDimensions, read_dimensions
from exporter.architectures.find import find_architecture
from exporter.checkpoint.block_tensors import BlockTensors, expert_parameters, split_blocks
from exporter.checkpoint.checkpoint import Checkpoint, TensorRecord
from exporter.evidence.evidence import ExplicitRemovals, Importance, Recommendations
from exporter.plan.blocks import Removal, Selection, choose_blocks
from exporter.plan.config_edit import edit_config
from exporter.plan.experts import ExpertChoice, choose_experts
from exporter.plan.second_evidence import compare_evidence
from runtime.documents.manifest import ChoiceRecord, DropRecord, EvidenceEntry
from runtime.errors import PlanError


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRequest:
    """What a user asks of a plan, with the evidence already read.

    `chosen` decides which blocks go; `also` is only compared. `depths` are numbers of kept blocks (None: all that the
    evidence covers). `top_ks` are experts per token of the layers after block 0 (None: the source's); `top_k_list` is
    instead one value per source block, block 0 included, which must keep the source's. `protected` blocks are never
    removed; block 0 is protected without being listed.
    """

    chosen: Importance | Recommendations | ExplicitRemovals
    also: tuple[Importance | Recommendations, ...] = ()
    depths: tuple[int, ...] | None = None
    top_ks: tuple[int, ...] | None = None
    top_k_list: tuple[int, ...] | None = None
    protected: tuple[int, ...] = ()


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
    tensor bytes."""

    architecture: Architecture
    checkpoint: Checkpoint
    choice: ChoiceRecord
    variants: tuple[PlannedVariant, ...]
    shards: tuple[PlannedShard, ...]

    @property
    def bytes(self) -> int:
        """Tensor bytes that the family occupies on disk, each unique (block, layer) shard counted once."""
        return sum(tensor.source.bytes for shard in self.shards for tensor in shard.tensors)


NON_BLOCK = "weights/non-block.safetensors"


def make_plan(checkpoint: Checkpoint, *, request: PlanRequest) -> Plan:
    """Plan the family that a request asks for: every depth of the chosen evidence × every top_k.

    Ids are `b14-k4`, `b14` for a dense architecture, `b14-k4-r4.13` where two variants of one shape remove different
    blocks, and `b14-kmix-1a2b3c4d` (with `-r4.13` before the digest where needed) for a top_k list. Variants with
    the same layers and the same top_k at every layer are one variant, under the first id.

    Raises PlanError, CheckpointError or DocumentError: see `find_family`, `read_shape`, `split_blocks`,
    `choose_blocks`, `choose_experts` and `edit_config` for what is refused.
    """
    file = str(checkpoint.folder / "config.json")
    architecture = find_architecture(checkpoint.config, file=file)
    shape = read_dimensions(architecture, checkpoint.config, file=file)
    tensors = split_blocks(architecture, shape, checkpoint.tensors.values(), place=str(checkpoint.folder))
    protected = _protected(request.protected, shape.blocks)
    selection = choose_blocks(request.chosen, blocks=shape.blocks, protected=protected, depths=request.depths)
    experts = choose_experts(architecture, shape, top_ks=request.top_ks, top_k_list=request.top_k_list)
    drafts = _drafts(selection.removals, experts, shape.blocks)
    shards = _shards(architecture, checkpoint, tensors, drafts)
    users = Counter(path for draft in drafts for path in draft.shards)
    sizes = {shard.path: sum(tensor.source.bytes for tensor in shard.tensors) for shard in shards}
    variants = tuple(_variant(architecture, checkpoint, shape, tensors, draft, users, sizes, file) for draft in drafts)
    choice = _choice(request, selection, protected, shape.blocks, notes=_source_notes(architecture, checkpoint))
    return Plan(architecture=architecture, checkpoint=checkpoint, choice=choice, variants=variants, shards=shards)


def _protected(asked: tuple[int, ...], blocks: int) -> tuple[int, ...]:
    absent = [block for block in asked if not 0 <= block < blocks]
    if absent:
        raise PlanError(f"cannot protect blocks {absent}: the model has blocks 0–{blocks - 1}")
    return tuple(sorted({0, *asked}))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Draft:
    id: str
    removal: Removal
    layers: tuple[int, ...]
    top_k: tuple[int, ...] | None

    @property
    def shards(self) -> tuple[str, ...]:
        return (*(_shard_path(block, layer) for layer, block in enumerate(self.layers)), NON_BLOCK)


def _shard_path(block: int, layer: int) -> str:
    return f"weights/block-{block:02d}-layer-{layer:02d}.safetensors"


def _drafts(removals: tuple[Removal, ...], experts: tuple[ExpertChoice, ...], blocks: int) -> tuple[_Draft, ...]:
    shapes = Counter(removal.depth for removal in removals)
    drafts: dict[tuple[tuple[int, ...], tuple[int, ...] | None], _Draft] = {}
    for removal in removals:
        layers = tuple(block for block in range(blocks) if block not in removal.removed)
        apart = "r" + ".".join(map(str, removal.removed)) if shapes[removal.depth] > 1 else ""
        for choice in experts:
            top_k = None if choice.per_block is None else tuple(choice.per_block[block] for block in layers)
            name = "-".join(part for part in (f"b{removal.depth}", choice.label, apart, choice.digest) if part)
            drafts.setdefault((layers, top_k), _Draft(id=name, removal=removal, layers=layers, top_k=top_k))
    return tuple(drafts.values())


def _shards(
    architecture: Architecture, checkpoint: Checkpoint, tensors: BlockTensors, drafts: tuple[_Draft, ...]
) -> tuple[PlannedShard, ...]:
    """All unique shards, by block and layer, the non-block tensors last; inside a shard by place in the source, to read
    it in order."""
    order = {file.name: i for i, file in enumerate(checkpoint.files)}

    def place(tensor: PlannedTensor) -> tuple[int, int, str]:
        return order[tensor.source.file], tensor.source.begin, tensor.name

    shards = []
    for block, layer in sorted({(block, layer) for draft in drafts for layer, block in enumerate(draft.layers)}):
        moved = [
            PlannedTensor(source=record, name=architecture.layer_name(layer, rest))
            for rest, record in tensors.blocks[block].items()
        ]
        shards.append(
            PlannedShard(
                path=_shard_path(block, layer), block=block, layer=layer, tensors=tuple(sorted(moved, key=place))
            )
        )
    rest = tuple(sorted((PlannedTensor(source=record, name=record.name) for record in tensors.non_block), key=place))
    return (*shards, PlannedShard(path=NON_BLOCK, block=None, layer=None, tensors=rest))


def _variant(
    architecture: Architecture,
    checkpoint: Checkpoint,
    shape: ModelDimensions,
    tensors: BlockTensors,
    draft: _Draft,
    users: Mapping[str, int],
    sizes: Mapping[str, int],
    file: str,
) -> PlannedVariant:
    rest = sum(record.parameters for record in tensors.non_block)
    parameters, active = rest, rest
    for layer, block in enumerate(draft.layers):
        count = sum(record.parameters for record in tensors.blocks[block].values())
        experts = expert_parameters(architecture, tensors.blocks[block])
        parameters += count
        active += count - experts
        if draft.top_k is not None and shape.experts is not None:
            active += experts * draft.top_k[layer] // shape.experts
    return PlannedVariant(
        id=draft.id,
        layers=draft.layers,
        removed=draft.removal.removed,
        top_k=draft.top_k,
        drop=draft.removal.drop,
        config=edit_config(architecture, checkpoint.config, layers=draft.layers, top_k=draft.top_k, file=file),
        modeling_files=architecture.modeling_files(draft.top_k, shape.top_k),
        shards=draft.shards,
        parameters=parameters,
        active_parameters=active,
        bytes=sum(sizes[path] for path in draft.shards),
        shared_bytes=sum(sizes[path] for path in draft.shards if users[path] > 1),
    )


def _source_notes(architecture: Architecture, checkpoint: Checkpoint) -> tuple[str, ...]:
    config, notes = checkpoint.config, []
    if checkpoint.unused:
        named = ", ".join(checkpoint.unused[:3]) + (", …" if len(checkpoint.unused) > 3 else "")
        notes.append(f"beside the checkpoint's weights but not part of them, and so not exported: {named}")
    if config.get("auto_map") and not architecture.own_type.always:
        notes.append(
            "the source names remote code (auto_map), which does not travel: variants are plain "
            f"{architecture.model_type}"
        )
    if config.get("quantization_config"):
        notes.append(
            "the source is quantized: its tensors are copied as they are, and parameters are counted as stored"
        )
    return tuple(notes)


def _choice(
    request: PlanRequest, selection: Selection, protected: tuple[int, ...], blocks: int, *, notes: tuple[str, ...]
) -> ChoiceRecord:
    notes = (*notes, *selection.notes)
    match request.chosen:
        case Importance(file=file, sha256=digest):
            label, strategy = file, "importance"
            evidence = [EvidenceEntry(role="chosen", kind="importance", file=file, sha256=digest)]
        case Recommendations(file=file, sha256=digest, kind=kind, strategy=strategy):
            label = file
            evidence = [EvidenceEntry(role="chosen", kind=kind, file=file, sha256=digest)]
        case ExplicitRemovals():
            label, strategy, evidence = "--remove", "explicit", []
    for other in request.also:
        kind = other.kind if isinstance(other, Recommendations) else "importance"
        evidence.append(EvidenceEntry(role="compared", kind=kind, file=other.file, sha256=other.sha256))
        notes += compare_evidence(other, label=label, removals=selection.removals, blocks=blocks, protected=protected)
    return ChoiceRecord(strategy=strategy, protected=protected, evidence=tuple(evidence), notes=tuple(notes))
