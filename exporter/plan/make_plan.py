"""Makes the plan of a family from a checkpoint and a request. Pure: decides, reads no file and no weight."""

from exporter.checkpoint.checkpoint import Checkpoint
from exporter.plan.blocks import choose_blocks, protected_blocks
from exporter.plan.choice import record_choice
from exporter.plan.experts import choose_experts
from exporter.plan.formats import GRAPH_LAYOUT, GraphFormat
from exporter.plan.plan import Plan
from exporter.plan.request import PlanRequest
from exporter.plan.shards import plan_shards
from exporter.plan.source import read_plan_source
from exporter.plan.variants import draft_variants, plan_variants


def make_plan(checkpoint: Checkpoint, *, request: PlanRequest) -> Plan:
    """Plan the family that a request asks for: every depth of the chosen evidence × every top_k.

    Ids are `b14-k4`, `b14` for a dense architecture, `b14-k4-r4.13` where two variants of one shape remove different
    blocks, and `b14-kmix-1a2b3c4d` (with `-r4.13` before the digest where needed) for a top_k list. Variants with
    the same layers and the same top_k at every layer are one variant, under the first id.

    Raises PlanError, CheckpointError or DocumentError: see `read_plan_source`, `choose_blocks`,
    `choose_experts` and `edit_config` for what is refused.
    """
    source = read_plan_source(checkpoint)
    dimensions = source.dimensions
    protected = protected_blocks(request.protected, dimensions.blocks)
    selection = choose_blocks(request.chosen, blocks=dimensions.blocks, protected=protected, depths=request.depths)
    experts = choose_experts(source.architecture, dimensions, top_ks=request.top_ks, top_k_list=request.top_k_list)
    drafts = draft_variants(selection.removals, experts, dimensions.blocks)
    shards = plan_shards(source, (draft.layers for draft in drafts))
    return Plan(
        architecture=source.architecture,
        checkpoint=checkpoint,
        choice=record_choice(request, source, selection, protected),
        variants=plan_variants(source, drafts, shards),
        shards=shards,
        graphs=GraphFormat(precisions=request.graphs, layout=GRAPH_LAYOUT) if request.graphs else None,
    )
