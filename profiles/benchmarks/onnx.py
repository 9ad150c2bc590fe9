"""Measures exported graphs against transformers and mobius-onnx on one machine, in one run: medians of interleaved
rounds."""

import importlib.util
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from exporter.architectures.architecture import find_architecture
from exporter.architectures.dimensions import read_dimensions
from exporter.checkpoint.checkpoint import open_checkpoint
from exporter.evidence.evidence import ExplicitRemovals
from exporter.family.variant_folder import FamilyFiles
from exporter.graphs.graph_set import GraphSource, plan_tensors, read_source
from exporter.graphs.weights.precision import find_precision
from exporter.graphs.write_graphs import write_data, write_graphs
from exporter.plan.plan import Plan, PlannedShard, PlannedVariant, PlanRequest, make_plan
from profiles.benchmarks.contenders import EXPERTS_IMPLEMENTATIONS, Contender, Exported, Mobius, Transformers
from profiles.benchmarks.memory import memory_ratio
from runtime.documents.family_layout import graph_path

REMOVALS = ((), (4,), (4, 13), (4, 10, 13), (2, 4, 10, 13))
TOP_KS = (8, 7, 6, 5, 4, 3, 2, 1)
COMPARED = (8, 2)
PREFILL_TOKENS, PROMPT_TOKENS, DECODED_TOKENS = 512, 64, 32
READ_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One line of the table: what was measured, the value with its unit, the target ("≥ 1.8"), and whether it is met
    (None: skipped)."""

    name: str
    value: str
    target: str
    met: bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """One contender in one round: milliseconds of a prefill and of a decoded token; right after it, seconds to read
    READ_BYTES of memory."""

    prefill_ms: float
    decode_ms: float
    read_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class OnnxBench:
    """All figures, ratios being the median of those within each round; and the medians of (contender, k) → milliseconds
    (prefill, per decoded token) and of bytes read per second."""

    figures: tuple[Figure, ...]
    medians: dict[tuple[str, int], tuple[float, float]]
    read_bandwidth: float
    threads: int
    rounds: int


def bench_onnx(checkpoint: Path, scratch: Path, *, rounds: int, threads: int, say: Callable[[str], None]) -> OnnxBench:
    """Build the graphs of 40 variants of an OLMoE-shaped `checkpoint` below `scratch` (fewer depths for less than 14
    blocks) and measure.

    Raises TrimoeError, OSError.
    """
    torch.set_num_threads(threads)
    precision, opened = find_precision("float32"), open_checkpoint(checkpoint)
    config = str(checkpoint / "config.json")
    blocks = read_dimensions(find_architecture(opened.config, file=config), opened.config, file=config).blocks
    removals = tuple(removed for removed in REMOVALS if all(block < blocks for block in removed))
    plan = make_plan(opened, request=PlanRequest(chosen=ExplicitRemovals(sets=removals), top_ks=TOP_KS))
    source, files = read_source(plan), FamilyFiles(scratch)
    say("writing the weights")
    data = write_data(source, plan, precision, scratch, lambda _: None)
    files.add_shard(data)
    begin = time.perf_counter()
    write_graphs(source, plan, precision, files, carried={})
    build_s = time.perf_counter() - begin
    graphs = {variant.id: scratch / graph_path(precision.name, variant.id) for variant in plan.variants}
    say("measuring memory")
    whole = max(plan.variants, key=lambda variant: (len(variant.layers), sum(variant.top_k or ())))
    memory = memory_ratio([graphs[whole.id], *(path for name, path in graphs.items() if name != whole.id)])
    weights = sum(tensor.source.bytes for shard in _unique(plan) for tensor in shard.tensors)
    folder = _disk_bytes(scratch / "onnx")
    timings = _compare(plan, checkpoint, scratch, graphs, rounds, threads, say)
    limit_ms = 1e3 * active_bytes(source, plan, _variant(plan, 8)) / READ_BYTES  # per second of reading
    share = statistics.median(limit_ms * timing.read_s / timing.decode_ms for timing in timings["onnx", 8])
    figures = (
        *_ratios(timings),
        _at_least("fraction of read bandwidth, decode, k 8", share, 0.6),
        Figure(name=f"{len(graphs)} graphs built", value=f"{build_s:.1f} s", target="≤ 10 s", met=build_s <= 10),
        _at_most(f"{len(graphs)} graphs loaded, memory over one's", memory, 1.15),
        _at_most("onnx/ over weights", folder / weights, 1.03),
    )
    medians = {key: (_median("prefill_ms", found), _median("decode_ms", found)) for key, found in timings.items()}
    read_s = statistics.median(timing.read_s for found in timings.values() for timing in found)
    return OnnxBench(
        figures=figures, medians=medians, read_bandwidth=READ_BYTES / read_s, threads=threads, rounds=rounds
    )


def _median(what: str, found: Sequence[Timing]) -> float:
    return statistics.median(getattr(timing, what) for timing in found)


def _unique(plan: Plan) -> list[PlannedShard]:
    """One shard for each source block, and the rest."""
    return list({shard.block: shard for shard in plan.shards}.values())


def _disk_bytes(folder: Path) -> int:
    inodes = {path.stat().st_ino: path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file()}
    return sum(inodes.values())


def _variant(plan: Plan, k: int) -> PlannedVariant:
    return next(
        variant
        for variant in plan.variants
        if not variant.removed and variant.top_k is not None and variant.top_k[-1] == k
    )


def _compare(
    plan: Plan,
    checkpoint: Path,
    scratch: Path,
    graphs: dict[str, Path],
    rounds: int,
    threads: int,
    say: Callable[[str], None],
) -> dict[tuple[str, int], list[Timing]]:
    """The timings of each (contender, k), one a round. Those that depend most on memory come one after the other,
    because its speed drifts."""
    generator = np.random.default_rng(0)
    long, short = (generator.integers(3, 1000, (1, count)) for count in (PREFILL_TOKENS, PROMPT_TOKENS))
    contenders: dict[tuple[str, int], Callable[[], Contender]] = {}
    for k in COMPARED:
        exported = Exported(graphs[_variant(plan, k).id], threads=threads)
        contenders["onnx", k] = lambda exported=exported: exported  # type: ignore[misc]
    if importlib.util.find_spec("mobius") is not None:
        say("exporting with mobius-onnx")
        mobius = Mobius(checkpoint, scratch / "mobius", threads=threads)
        contenders["mobius", COMPARED[0]] = lambda: mobius
    model = Transformers(checkpoint)
    for k in COMPARED:
        for name in EXPERTS_IMPLEMENTATIONS:
            top_k = _variant(plan, k).top_k or ()
            contenders[f"transformers {name}", k] = lambda name=name, top_k=top_k: model.configure(name, top_k)  # type: ignore[misc]
    found: dict[tuple[str, int], list[Timing]] = {key: [] for key in contenders}
    large = torch.ones(READ_BYTES // 4)
    for number in range(rounds + 1):  # the first warms up
        say(f"round {number} of {rounds}")
        for key, make in contenders.items():
            contender = make()
            timing = Timing(
                prefill_ms=contender.prefill(long),
                decode_ms=contender.decode(short, DECODED_TOKENS),
                read_s=_read_seconds(large),
            )
            if number:
                found[key].append(timing)
    return found


def _read_seconds(large: torch.Tensor) -> float:
    """Seconds to read an array once, with the same threads: the limit of a decoder that reads its weights once per
    token."""
    begin = time.perf_counter()
    large.sum()
    return time.perf_counter() - begin


def _ratios(timings: Mapping[tuple[str, int], Sequence[Timing]]) -> tuple[Figure, ...]:
    """Speed over the best of transformers, and over mobius-onnx where it is installed."""
    figures = []
    for what, measured, targets in (
        ("decode", "decode_ms", {8: 1.8, 2: 2.2}),
        ("prefill", "prefill_ms", {8: 1.0, 2: 1.0}),
    ):
        for k, target in targets.items():
            others = (found for (name, of), found in timings.items() if name.startswith("transformers") and of == k)
            best = min(others, key=lambda found: _median(measured, found))
            figures.append(
                _at_least(f"{what} over transformers, k {k}", _ratio(measured, best, timings["onnx", k]), target)
            )
        target = 5.0 if what == "decode" else 3.0
        if ("mobius", 8) in timings:
            figures.append(
                _at_least(
                    f"{what} over mobius-onnx, k 8", _ratio(measured, timings["mobius", 8], timings["onnx", 8]), target
                )
            )
        else:
            figures.append(
                Figure(name=f"{what} over mobius-onnx, k 8", value="not installed", target=f"≥ {target:g}", met=None)
            )
    figures.append(_at_least("decode, k 2 over k 8", _ratio("decode_ms", timings["onnx", 8], timings["onnx", 2]), 2.0))
    return tuple(figures)


def _ratio(what: str, slow: Sequence[Timing], quick: Sequence[Timing]) -> float:
    """The median over the rounds of how many times longer the one took than the other."""
    return statistics.median(getattr(one, what) / getattr(other, what) for one, other in zip(slow, quick, strict=True))


def active_bytes(source: GraphSource, plan: Plan, variant: PlannedVariant) -> float:
    """Bytes of weights that one token reads: its experts' share of the experts, everything else of the blocks, and the
    head."""
    k = {block: variant.top_k[layer] for layer, block in enumerate(variant.layers)} if variant.top_k is not None else {}
    tensors = {tensor.name: tensor for tensor in plan_tensors(source, plan, find_precision("float32"))}
    total = 0.0
    for tensor in tensors.values():
        part, _, rest = tensor.name.partition(".")
        if part == "blocks" and int(rest.split(".")[0]) in variant.layers:
            block = int(rest.split(".")[0])
            total += tensor.bytes * (
                k[block] / tensors[f"blocks.{block}.router.weight"].shape[1] if ".experts." in tensor.name else 1
            )
        elif part == "head":
            total += tensor.bytes
    return total


def _at_least(name: str, value: float, target: float) -> Figure:
    return Figure(name=name, value=f"{value:.2f}", target=f"≥ {target:g}", met=value >= target)


def _at_most(name: str, value: float, target: float) -> Figure:
    return Figure(name=name, value=f"{value:.3f}", target=f"≤ {target:g}", met=value <= target)
