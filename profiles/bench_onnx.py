"""Measures exported graphs against transformers and mobius-onnx on one machine, in one run: medians of interleaved rounds."""

import importlib.util
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from exporter.checkpoint import open_checkpoint
from exporter.evidence import ExplicitRemovals
from exporter.families import find_family
from exporter.graphs.graph_set import GraphSource, graph_path, plan_tensors, read_source
from exporter.graphs.precision import find_precision
from exporter.graphs.write_graphs import write_data, write_graphs
from exporter.plan import Plan, PlannedShard, PlannedVariant, PlanRequest, make_plan
from exporter.source_shape import read_shape
from exporter.variant_folder import FamilyFiles
from profiles.bench_contenders import EXPERTS_IMPLEMENTATIONS, Contender, Exported, Mobius, Transformers
from profiles.bench_memory import memory_ratio

REMOVALS = ((), (4,), (4, 13), (4, 10, 13), (2, 4, 10, 13))
TOP_KS = (8, 7, 6, 5, 4, 3, 2, 1)
COMPARED = (8, 2)
PREFILL_TOKENS, PROMPT_TOKENS, DECODED_TOKENS = 512, 64, 32
READ_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One line of the table: what was measured, the value with its unit, the target ("≥ 1.8"), and whether it is met (None: skipped)."""

    name: str
    value: str
    target: str
    met: bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class OnnxBench:
    """All figures, and the medians they come from: (contender, k) → milliseconds (prefill, per decoded token), and bytes read per second."""

    figures: tuple[Figure, ...]
    medians: dict[tuple[str, int], tuple[float, float]]
    read_bandwidth: float
    threads: int
    rounds: int


def bench_onnx(checkpoint: Path, scratch: Path, *, rounds: int, threads: int, say: Callable[[str], None]) -> OnnxBench:
    """Build the graphs of 40 variants of an OLMoE-shaped `checkpoint` below `scratch` (fewer depths for less than 14 blocks) and measure.

    Raises TrimoeError, OSError.
    """
    torch.set_num_threads(threads)
    precision, opened = find_precision("float32"), open_checkpoint(checkpoint)
    config = str(checkpoint / "config.json")
    blocks = read_shape(find_family(opened.config, file=config), opened.config, file=config).blocks
    removals = tuple(removed for removed in REMOVALS if all(block < blocks for block in removed))
    plan = make_plan(opened, request=PlanRequest(chosen=ExplicitRemovals(sets=removals), top_ks=TOP_KS))
    source, files = read_source(plan), FamilyFiles(scratch)
    say("writing the weights")
    data = write_data(source, plan, precision, scratch, lambda _: None)
    files.add_shard(data)
    begin = time.perf_counter()
    write_graphs(source, plan, precision, files, carried={})
    build_s = time.perf_counter() - begin
    graphs = {variant.id: scratch / graph_path(precision, variant.id) for variant in plan.variants}
    say("measuring memory")
    whole = max(plan.variants, key=lambda variant: (len(variant.layers), sum(variant.top_k or ())))
    memory = memory_ratio([graphs[whole.id], *(path for name, path in graphs.items() if name != whole.id)])
    weights = sum(tensor.source.bytes for shard in _unique(plan) for tensor in shard.tensors)
    folder = _disk_bytes(scratch / "onnx")
    medians, bandwidth = _compare(plan, checkpoint, scratch, graphs, rounds, threads, say)
    share = active_bytes(source, plan, _variant(plan, 8)) / (medians["onnx", 8][1] / 1e3) / bandwidth
    figures = (
        *_ratios(medians),
        _at_least("fraction of read bandwidth, decode, k 8", share, 0.6),
        Figure(name=f"{len(graphs)} graphs built", value=f"{build_s:.1f} s", target="≤ 10 s", met=build_s <= 10),
        _at_most(f"{len(graphs)} graphs loaded, memory over one's", memory, 1.15),
        _at_most("onnx/ over weights", folder / weights, 1.03),
    )
    return OnnxBench(figures=figures, medians=medians, read_bandwidth=bandwidth, threads=threads, rounds=rounds)


def _unique(plan: Plan) -> list[PlannedShard]:
    """One shard for each source block, and the rest."""
    return list({shard.block: shard for shard in plan.shards}.values())


def _disk_bytes(folder: Path) -> int:
    inodes = {path.stat().st_ino: path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file()}
    return sum(inodes.values())


def _variant(plan: Plan, k: int) -> PlannedVariant:
    return next(variant for variant in plan.variants if not variant.removed and variant.top_k is not None and variant.top_k[-1] == k)


def _compare(
    plan: Plan, checkpoint: Path, scratch: Path, graphs: dict[str, Path], rounds: int, threads: int, say: Callable[[str], None]
) -> tuple[dict[tuple[str, int], tuple[float, float]], float]:
    generator = np.random.default_rng(0)
    long, short = (generator.integers(3, 1000, (1, count)) for count in (PREFILL_TOKENS, PROMPT_TOKENS))
    model = Transformers(checkpoint)
    contenders: dict[tuple[str, int], Callable[[], Contender]] = {}
    for k in COMPARED:
        variant = _variant(plan, k)
        exported = Exported(graphs[variant.id], threads=threads)
        contenders["onnx", k] = lambda exported=exported: exported  # type: ignore[misc]
        for name in EXPERTS_IMPLEMENTATIONS:
            top_k = variant.top_k or ()
            contenders[f"transformers {name}", k] = lambda name=name, top_k=top_k: model.configure(name, top_k)  # type: ignore[misc]
    if importlib.util.find_spec("mobius") is not None:
        say("exporting with mobius-onnx")
        mobius = Mobius(checkpoint, scratch / "mobius", threads=threads)
        contenders["mobius", COMPARED[0]] = lambda: mobius
    found: dict[tuple[str, int], list[tuple[float, float]]] = {key: [] for key in contenders}
    large, reads = torch.ones(READ_BYTES // 4), []
    for number in range(rounds + 1):  # the first warms up
        say(f"round {number} of {rounds}")
        for key, make in contenders.items():
            contender = make()
            times = contender.prefill(long), contender.decode(short, DECODED_TOKENS)
            read = _read_seconds(large)
            if number:
                found[key].append(times)
                reads.append(read)
    medians = {key: (statistics.median(t[0] for t in times), statistics.median(t[1] for t in times)) for key, times in found.items()}
    return medians, READ_BYTES / statistics.median(reads)


def _read_seconds(large: torch.Tensor) -> float:
    """Seconds to read an array once, with the same threads: the limit of a decoder that reads its weights once per token."""
    begin = time.perf_counter()
    large.sum()
    return time.perf_counter() - begin


def _ratios(medians: dict[tuple[str, int], tuple[float, float]]) -> tuple[Figure, ...]:
    """Speed over the best of transformers, and over mobius-onnx where it is installed."""
    figures = []
    for what, index, targets in (("decode", 1, {8: 1.8, 2: 2.2}), ("prefill", 0, {8: 1.0, 2: 1.0})):
        for k, target in targets.items():
            best = min(times[index] for (name, of), times in medians.items() if name.startswith("transformers") and of == k)
            figures.append(_at_least(f"{what} over transformers, k {k}", best / medians["onnx", k][index], target))
        target = 5.0 if what == "decode" else 3.0
        if ("mobius", 8) in medians:
            figures.append(_at_least(f"{what} over mobius-onnx, k 8", medians["mobius", 8][index] / medians["onnx", 8][index], target))
        else:
            figures.append(Figure(name=f"{what} over mobius-onnx, k 8", value="not installed", target=f"≥ {target:g}", met=None))
    figures.append(_at_least("decode, k 2 over k 8", medians["onnx", 8][1] / medians["onnx", 2][1], 2.0))
    return tuple(figures)


def active_bytes(source: GraphSource, plan: Plan, variant: PlannedVariant) -> float:
    """Bytes of weights that one token reads: its experts' share of the experts, everything else of the blocks, and the head."""
    k = {block: variant.top_k[layer] for layer, block in enumerate(variant.layers)} if variant.top_k is not None else {}
    tensors = {tensor.name: tensor for tensor in plan_tensors(source, plan, find_precision("float32"))}
    total = 0.0
    for tensor in tensors.values():
        part, _, rest = tensor.name.partition(".")
        if part == "blocks" and int(rest.split(".")[0]) in variant.layers:
            block = int(rest.split(".")[0])
            total += tensor.bytes * (k[block] / tensors[f"blocks.{block}.router.weight"].shape[1] if ".experts." in tensor.name else 1)
        elif part == "head":
            total += tensor.bytes
    return total


def _at_least(name: str, value: float, target: float) -> Figure:
    return Figure(name=name, value=f"{value:.2f}", target=f"≥ {target:g}", met=value >= target)


def _at_most(name: str, value: float, target: float) -> Figure:
    return Figure(name=name, value=f"{value:.3f}", target=f"≤ {target:g}", met=value <= target)
