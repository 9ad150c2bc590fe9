"""The variants of a plan: their layers, ids, configs, parameters and bytes. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exporter.checkpoint.block_tensors import expert_parameters
from exporter.plan.blocks import Removal
from exporter.plan.config_edit import edit_config
from exporter.plan.experts import ExpertChoice
from exporter.plan.plan import PlannedShard, PlannedVariant
from exporter.plan.source import PlanSource
from runtime.documents.family_layout import CONFIG, NON_BLOCK_SHARD, shard_path


@dataclass(frozen=True, kw_only=True, slots=True)
class VariantDraft:
    """A variant before its config is edited and its bytes are counted."""

    id: str
    removal: Removal
    layers: tuple[int, ...]
    top_k: tuple[int, ...] | None

    @property
    def shards(self) -> tuple[str, ...]:
        """The paths of its shards, layer by layer, then of the non-block tensors."""
        return (*(shard_path(block, layer) for layer, block in enumerate(self.layers)), NON_BLOCK_SHARD)


def draft_variants(
    removals: tuple[Removal, ...], experts: tuple[ExpertChoice, ...], blocks: int
) -> tuple[VariantDraft, ...]:
    """Every removal × every choice of experts, as `make_plan` names them; equal ones are one, under the first id."""
    depths = Counter(removal.depth for removal in removals)
    drafts: dict[tuple[tuple[int, ...], tuple[int, ...] | None], VariantDraft] = {}
    for removal in removals:
        layers = tuple(block for block in range(blocks) if block not in removal.removed)
        apart = "r" + ".".join(map(str, removal.removed)) if depths[removal.depth] > 1 else ""
        for choice in experts:
            top_k = None if choice.per_block is None else tuple(choice.per_block[block] for block in layers)
            name = "-".join(part for part in (f"b{removal.depth}", choice.label, apart, choice.digest) if part)
            drafts.setdefault((layers, top_k), VariantDraft(id=name, removal=removal, layers=layers, top_k=top_k))
    return tuple(drafts.values())


def plan_variants(
    source: PlanSource, drafts: Sequence[VariantDraft], shards: Sequence[PlannedShard]
) -> tuple[PlannedVariant, ...]:
    """The drafts with their configs, parameters and bytes; `shards` are those of all of them."""
    users = Counter(path for draft in drafts for path in draft.shards)
    sizes = {shard.path: sum(tensor.source.bytes for tensor in shard.tensors) for shard in shards}
    return tuple(_plan_variant(source, draft, users, sizes) for draft in drafts)


def _plan_variant(
    source: PlanSource, draft: VariantDraft, users: Mapping[str, int], sizes: Mapping[str, int]
) -> PlannedVariant:
    """`users` are the variants that use a shard, `sizes` its tensor bytes, both by its path."""
    architecture, config = source.architecture, source.checkpoint.config
    parameters, active = _parameters(source, draft)
    return PlannedVariant(
        id=draft.id,
        layers=draft.layers,
        removed=draft.removal.removed,
        top_k=draft.top_k,
        drop=draft.removal.drop,
        config=edit_config(
            architecture,
            config,
            layers=draft.layers,
            top_k=draft.top_k,
            file=str(source.checkpoint.folder / CONFIG),
        ),
        modeling_files=(architecture.modeling_files(draft.top_k, source.dimensions.top_k)),
        shards=draft.shards,
        parameters=parameters,
        active_parameters=active,
        bytes=sum(sizes[path] for path in draft.shards),
        shared_bytes=sum(sizes[path] for path in draft.shards if users[path] > 1),
    )


def _parameters(source: PlanSource, draft: VariantDraft) -> tuple[int, int]:
    """The elements of all tensors of the variant, and of those that one token uses."""
    parameters = active = sum(record.parameters for record in source.tensors.non_block)
    for layer, block in enumerate(draft.layers):
        count = sum(record.parameters for record in source.tensors.blocks[block].values())
        experts = expert_parameters(source.architecture, source.tensors.blocks[block])
        parameters += count
        active += count - experts
        if draft.top_k is not None and source.dimensions.experts is not None:
            active += experts * draft.top_k[layer] // source.dimensions.experts
    return parameters, active
