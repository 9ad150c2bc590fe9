"""The graphs that the benchmark runs: those of many variants, for what a family costs, and one for each type and k."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from exporter.architectures.dimensions import read_dimensions
from exporter.architectures.find import find_architecture
from exporter.checkpoint.checkpoint import open_checkpoint
from exporter.evidence.evidence import ExplicitRemovals
from exporter.family.variant_folder import FamilyFiles
from exporter.graphs.graph_set import GraphSource, build_variant, plan_tensors, read_source
from exporter.graphs.weights.precision import find_precision
from exporter.graphs.weights.stored_tensor import StoredTensor
from exporter.graphs.write_graphs import to_bytes, write_data, write_graphs
from exporter.plan.make_plan import make_plan
from exporter.plan.plan import Plan, PlannedVariant
from exporter.plan.request import PlanRequest
from runtime.documents.family_layout import graph_path

DTYPES = ("float32", "int8", "int4")
REMOVALS = ((), (4,), (4, 13), (4, 10, 13), (2, 4, 10, 13))
TOP_KS = (8, 7, 6, 5, 4, 3, 2, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """A plan's float32 graphs by variant, what they were built from, and how long that took without the weights."""

    plan: Plan
    source: GraphSource
    graphs: dict[str, Path]
    build_s: float

    @property
    def whole(self) -> PlannedVariant:
        """The variant without removed blocks and with the source's k."""
        return max(self.plan.variants, key=lambda one: (len(one.layers), sum(one.top_k or ())))


def plan_family(checkpoint: Path) -> Plan:
    """The plan of all depths and k that the checkpoint has blocks for. Raises TrimoeError, OSError."""
    opened, config = open_checkpoint(checkpoint), str(checkpoint / "config.json")
    blocks = read_dimensions(find_architecture(opened.config, file=config), opened.config, file=config).blocks
    removals = tuple(removed for removed in REMOVALS if all(block < blocks for block in removed))
    return make_plan(opened, request=PlanRequest(chosen=ExplicitRemovals(sets=removals), top_ks=TOP_KS))


def build_family(plan: Plan, scratch: Path, say: Callable[[str], None]) -> Family:
    """Write the float32 weights and every variant's graph below `scratch`. Raises TrimoeError, OSError."""
    precision = find_precision("float32")
    source, files = read_source(plan), FamilyFiles(scratch)
    say("writing the weights in float32")
    files.add_shard(write_data(source, plan, precision, scratch, lambda _: None))
    begin = time.perf_counter()
    write_graphs(source, plan, precision, files, auxiliary={})
    build_s = time.perf_counter() - begin
    graphs = {variant.id: scratch / graph_path(precision.name, variant.id) for variant in plan.variants}
    return Family(plan=plan, source=source, graphs=graphs, build_s=build_s)


def build_timed(family: Family, dtype: str, k: int, scratch: Path) -> Path:
    """The graph of the whole model in that type with k experts per token in *every* block, also in the first, which
    variants leave at the source's k: other programs know one k only. Its weights are there."""
    precision, whole = find_precision(dtype), family.whole
    variant = replace(whole, id=f"every-k{k}", top_k=(k,) * len(whole.layers))
    weights = {tensor.name: tensor for tensor in plan_tensors(family.source, family.plan, precision)}
    path = scratch / graph_path(dtype, variant.id)
    path.write_bytes(to_bytes(build_variant(family.source, variant, precision, weights, {})))
    return path


def write_types(family: Family, scratch: Path, say: Callable[[str], None]) -> None:
    """Write the weights in the other types. Raises TrimoeError, OSError."""
    for dtype in DTYPES[1:]:
        say(f"writing the weights in {dtype}")
        write_data(family.source, family.plan, find_precision(dtype), scratch, lambda _: None)


def active_bytes(family: Family, k: int) -> float:
    """Bytes of float32 weights that one token reads: its k experts' share of the experts in every block, everything
    else of the blocks, and the head."""
    tensors = {tensor.name: tensor for tensor in plan_tensors(family.source, family.plan, find_precision("float32"))}
    return sum(_active_share(tensor, tensors, k) * tensor.bytes for tensor in tensors.values())


def _active_share(tensor: StoredTensor, tensors: dict[str, StoredTensor], k: int) -> float:
    part, _, inner = tensor.name.partition(".")
    if ".experts." in tensor.name:
        return k / tensors[f"blocks.{inner.split('.')[0]}.router.weight"].shape[1]
    return 1.0 if part in ("blocks", "head") else 0.0
