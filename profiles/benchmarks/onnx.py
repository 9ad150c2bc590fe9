"""Measures exported graphs against transformers and mobius-onnx on one machine, in one run: medians of interleaved
rounds."""

import importlib.util
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from exporter.architectures.dimensions import read_dimensions
from exporter.architectures.find import find_architecture
from exporter.checkpoint.checkpoint import open_checkpoint
from exporter.evidence.evidence import ExplicitRemovals
from exporter.family.variant_folder import FamilyFiles
from exporter.graphs.graph_set import GraphSource, plan_tensors, read_source
from exporter.graphs.weights.precision import find_precision
from exporter.graphs.write_graphs import write_data, write_graphs
from exporter.plan.make_plan import make_plan
from exporter.plan.plan import Plan, PlannedVariant
from exporter.plan.request import PlanRequest
from profiles.benchmarks.contenders import (
    EXPERTS_IMPLEMENTATIONS,
    Contender,
    Exported,
    Mobius,
    Transformers,
    load_transformers,
)
from profiles.benchmarks.export import disk_bytes
from profiles.benchmarks.figures import (
    LARGE_K,
    MOBIUS,
    ONNX,
    SMALL_K,
    TRANSFORMERS,
    Figure,
    Timings,
    at_least,
    at_most,
    speed_ratios,
)
from profiles.benchmarks.memory.graphs import memory_ratio
from profiles.benchmarks.timing import READ_BYTES, median_of, time_contenders
from runtime.documents.family_layout import graph_path

REMOVALS = ((), (4,), (4, 13), (4, 10, 13), (2, 4, 10, 13))
TOP_KS = (8, 7, 6, 5, 4, 3, 2, 1)
COMPARED = (LARGE_K, SMALL_K)


@dataclass(frozen=True, kw_only=True, slots=True)
class OnnxBench:
    """All figures, ratios being the median of those within each round; and the medians of (contender, k) → milliseconds
    (prefill, per decoded token) and of bytes read per second."""

    figures: tuple[Figure, ...]
    medians: dict[tuple[str, int], tuple[float, float]]
    read_bandwidth: float
    threads: int
    rounds: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Built:
    """The graphs of a plan's variants by id, what they were built from, and how long that took without the weights."""

    plan: Plan
    source: GraphSource
    graphs: dict[str, Path]
    build_s: float


def bench_onnx(checkpoint: Path, scratch: Path, *, rounds: int, threads: int, say: Callable[[str], None]) -> OnnxBench:
    """Build the graphs of 40 variants of an OLMoE-shaped `checkpoint` below `scratch` (fewer depths for less than 14
    blocks) and measure.

    Raises TrimoeError, OSError.
    """
    torch.set_num_threads(threads)
    built = _build(_plan(checkpoint), scratch, say)
    say("measuring memory")
    sizes = _size_figures(built, scratch)
    if importlib.util.find_spec("mobius") is not None:
        say("exporting with mobius-onnx")
    timings = time_contenders(_contenders(built, checkpoint, scratch, threads), rounds=rounds, say=say)
    return OnnxBench(
        figures=(*speed_ratios(timings), _bandwidth_figure(built, timings), *sizes),
        medians={
            key: (median_of("prefill_ms", found), median_of("decode_ms", found)) for key, found in timings.items()
        },
        read_bandwidth=READ_BYTES / median_of("read_s", [timing for found in timings.values() for timing in found]),
        threads=threads,
        rounds=rounds,
    )


def _plan(checkpoint: Path) -> Plan:
    """The plan of all depths and k that the checkpoint has blocks for."""
    opened, config = open_checkpoint(checkpoint), str(checkpoint / "config.json")
    blocks = read_dimensions(find_architecture(opened.config, file=config), opened.config, file=config).blocks
    removals = tuple(removed for removed in REMOVALS if all(block < blocks for block in removed))
    return make_plan(opened, request=PlanRequest(chosen=ExplicitRemovals(sets=removals), top_ks=TOP_KS))


def _build(plan: Plan, scratch: Path, say: Callable[[str], None]) -> _Built:
    """Write the weights, then the graphs."""
    precision = find_precision("float32")
    source, files = read_source(plan), FamilyFiles(scratch)
    say("writing the weights")
    data = write_data(source, plan, precision, scratch, lambda _: None)
    files.add_shard(data)
    begin = time.perf_counter()
    write_graphs(source, plan, precision, files, auxiliary={})
    build_s = time.perf_counter() - begin
    graphs = {variant.id: scratch / graph_path(precision.name, variant.id) for variant in plan.variants}
    return _Built(plan=plan, source=source, graphs=graphs, build_s=build_s)


def _size_figures(built: _Built, scratch: Path) -> tuple[Figure, ...]:
    """Time to build the graphs, memory with all of them loaded, and their disk space."""
    plan, graphs = built.plan, built.graphs
    whole = max(plan.variants, key=lambda variant: (len(variant.layers), sum(variant.top_k or ())))
    memory = memory_ratio([graphs[whole.id], *(path for name, path in graphs.items() if name != whole.id)])
    shards = {
        shard.block: shard for shard in plan.shards
    }.values()  # one for each source block, and the non-block tensors
    weights = sum(tensor.source.bytes for shard in shards for tensor in shard.tensors)
    build_s = built.build_s
    return (
        Figure(name=f"{len(graphs)} graphs built", value=f"{build_s:.1f} s", target="≤ 10 s", met=build_s <= 10),
        at_most(f"{len(graphs)} graphs loaded, memory over one's", memory, 1.15),
        at_most("onnx/ over weights", disk_bytes(scratch / "onnx") / weights, 1.03),
    )


def _bandwidth_figure(built: _Built, timings: Timings) -> Figure:
    """How much of the time that reading a token's weights takes alone a decoded token takes, median over the rounds."""
    per_second = active_bytes(built.source, built.plan, _variant(built.plan, LARGE_K)) / READ_BYTES
    share = statistics.median(1e3 * per_second * one.read_s / one.decode_ms for one in timings[ONNX, LARGE_K])
    return at_least(f"fraction of read bandwidth, decode, k {LARGE_K}", share, 0.6)


def _variant(plan: Plan, k: int) -> PlannedVariant:
    return next(
        variant
        for variant in plan.variants
        if not variant.removed and variant.top_k is not None and variant.top_k[-1] == k
    )


def _contenders(built: _Built, checkpoint: Path, scratch: Path, threads: int) -> dict[tuple[str, int], Contender]:
    """The contenders by name and k. Those that depend most on memory come one after the other, because its speed
    drifts."""
    plan = built.plan
    found: dict[tuple[str, int], Contender] = {
        (ONNX, k): Exported(built.graphs[_variant(plan, k).id], threads=threads) for k in COMPARED
    }
    if importlib.util.find_spec("mobius") is not None:
        found[MOBIUS, LARGE_K] = Mobius(checkpoint, scratch / "mobius", threads=threads)
    model = load_transformers(checkpoint)
    for k in COMPARED:
        for name in EXPERTS_IMPLEMENTATIONS:
            found[f"{TRANSFORMERS} {name}", k] = Transformers(model, name, _variant(plan, k).top_k or ())
    return found


def active_bytes(source: GraphSource, plan: Plan, variant: PlannedVariant) -> float:
    """Bytes of weights that one token reads: its experts' share of the experts, everything else of the blocks, and the
    head."""
    k = {block: variant.top_k[layer] for layer, block in enumerate(variant.layers)} if variant.top_k is not None else {}
    tensors = {tensor.name: tensor for tensor in plan_tensors(source, plan, find_precision("float32"))}
    total = 0.0
    for tensor in tensors.values():
        part, _, inner = tensor.name.partition(".")
        if part == "blocks" and int(inner.split(".")[0]) in variant.layers:
            block = int(inner.split(".")[0])
            total += tensor.bytes * (
                k[block] / tensors[f"blocks.{block}.router.weight"].shape[1] if ".experts." in tensor.name else 1
            )
        elif part == "head":
            total += tensor.bytes
    return total
