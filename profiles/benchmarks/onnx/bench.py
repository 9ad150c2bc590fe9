"""Measures exported graphs in three types against transformers, mobius-onnx and llama.cpp on one machine, in one run:
medians of interleaved rounds."""

import statistics
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from profiles.benchmarks.export import disk_bytes
from profiles.benchmarks.figures import Figure, at_least, at_most
from profiles.benchmarks.memory.graphs import memory_ratio
from profiles.benchmarks.onnx.built import (
    DTYPES,
    Family,
    active_bytes,
    build_family,
    build_timed,
    plan_family,
    write_types,
)
from profiles.benchmarks.onnx.contender import Contender, Exported, Logits
from profiles.benchmarks.onnx.gguf_file import write_gguf
from profiles.benchmarks.onnx.llama import Llama, missing_packages
from profiles.benchmarks.onnx.memory import GGUF, GRAPH, PACKED, peak_bytes
from profiles.benchmarks.onnx.mobius import Mobius, has_mobius
from profiles.benchmarks.onnx.targets import (
    KINDS,
    LARGE_K,
    LLAMA,
    MOBIUS,
    SMALL_K,
    TRANSFORMERS,
    memory_figures,
    speed_figures,
)
from profiles.benchmarks.onnx.timing import READ_BYTES, Key, Timings, median_of, prompts, time_contenders
from profiles.benchmarks.onnx.transformers_model import EXPERTS_IMPLEMENTATIONS, Transformers, load_transformers
from runtime.documents.graph_contract import PACKED as PACKED_TYPES
from runtime.errors import VerificationError

COMPARED = (LARGE_K, SMALL_K)
Say = Callable[[str], None]
# Of the logits against transformers in float32, both norms: whatever computes in float (llama.cpp keeps keys and values
# in float16), and whatever is quantised: with random weights 4 bits lose a third, another model would be off by 1.4.
FLOAT_ERROR, QUANTISED_ERROR = 2e-3, 0.6


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A contender's medians in milliseconds, and the error of its logits: the norm of the difference to transformers'
    over theirs."""

    prefill_ms: float
    decode_ms: float
    error: float


@dataclass(frozen=True, kw_only=True, slots=True)
class OnnxBench:
    """All figures, ratios being the median of those within each round; a row for each contender and k; peak memory in
    bytes by contender; bytes read per second; and what was left out, and why."""

    figures: tuple[Figure, ...]
    rows: Mapping[Key, Row]
    peaks: Mapping[str, int]
    read_bandwidth: float
    skipped: tuple[str, ...]
    threads: int
    rounds: int


def bench_onnx(
    checkpoint: Path, scratch: Path, *, rounds: int, threads: int, skip: Collection[str], say: Say
) -> OnnxBench:
    """Build the graphs of 40 variants of an OLMoE-shaped `checkpoint` below `scratch` (fewer depths for less than 14
    blocks) and measure; `skip` names contenders to leave out.

    Raises TrimoeError, OSError; VerificationError also when a contender computes another model.
    """
    torch.set_num_threads(threads)
    skipped = _left_out(skip)
    family = build_family(plan_family(checkpoint), scratch, say)
    say("measuring the memory of all graphs")
    sizes = _size_figures(family, scratch)
    write_types(family, scratch, say)
    files = _files(family, checkpoint, scratch, skipped, say)
    peaks = _peaks(files, threads, say)
    contenders = _contenders(files, checkpoint, scratch, threads, skipped, say)
    errors = _errors(contenders)
    timings = time_contenders(contenders, rounds=rounds, say=say)
    figures = (*speed_figures(timings), _bandwidth_figure(family, timings), *memory_figures(peaks), *sizes)
    return OnnxBench(
        figures=figures,
        rows={
            key: Row(
                prefill_ms=median_of("prefill_ms", found),
                decode_ms=median_of("decode_ms", found),
                error=errors[key],
            )
            for key, found in timings.items()
        },
        peaks=peaks,
        read_bandwidth=READ_BYTES / median_of("read_s", [timing for found in timings.values() for timing in found]),
        skipped=tuple(f"{name}: {why}" for name, why in skipped.items()),
        threads=threads,
        rounds=rounds,
    )


def _left_out(skip: Collection[str]) -> dict[str, str]:
    """Which contenders are not run, and why."""
    found = dict.fromkeys(skip, "left out as asked")
    if not has_mobius():
        found.setdefault(MOBIUS, "not installed")
    if missing := missing_packages():
        found.setdefault(LLAMA, f"not installed: {', '.join(missing)}")
    return found


def _files(family: Family, checkpoint: Path, scratch: Path, skipped: Collection[str], say: Say) -> dict[Key, Path]:
    """What each contender but transformers and mobius-onnx runs: graphs, and GGUF files, which serve every k."""
    found = {(dtype, k): build_timed(family, dtype, k, scratch) for dtype in DTYPES for k in COMPARED}
    if LLAMA in skipped:
        return found
    for kind in KINDS.values():
        say(f"writing GGUF in {kind}")
        file = scratch / f"{kind}.gguf"
        write_gguf(checkpoint, file, kind)
        found |= {(f"{LLAMA} {kind}", k): file for k in COMPARED}
    return found


def _kind(name: str) -> str:
    return GGUF if name.startswith(LLAMA) else PACKED if name in PACKED_TYPES else GRAPH


def _peaks(files: Mapping[Key, Path], threads: int, say: Say) -> dict[str, int]:
    found = {}
    for (name, k), file in files.items():
        if k == LARGE_K:
            say(f"measuring the memory of {name}")
            found[name] = peak_bytes(_kind(name), file, k=k, threads=threads)
    return found


def _contenders(
    files: Mapping[Key, Path], checkpoint: Path, scratch: Path, threads: int, skipped: Collection[str], say: Say
) -> dict[Key, Contender]:
    """The contenders by name and k. Those that are compared most stand one after the other, because a machine's speed
    drifts."""
    found: dict[Key, Contender] = {}
    for (name, k), file in sorted(files.items(), key=lambda item: -item[0][1]):
        if _kind(name) == GGUF:
            found[name, k] = Llama(file, k=k, threads=threads)
        else:
            found[name, k] = Exported(file, data_folder=None, packed=_kind(name) == PACKED, threads=threads)
    if MOBIUS not in skipped:
        say("exporting with mobius-onnx")
        found[MOBIUS, LARGE_K] = Mobius(checkpoint, scratch / "mobius", threads=threads)
    model = load_transformers(checkpoint)
    for k in COMPARED:
        for name in EXPERTS_IMPLEMENTATIONS:
            found[f"{TRANSFORMERS} {name}", k] = Transformers(model, name, k)
    return found


def _errors(contenders: Mapping[Key, Contender]) -> dict[Key, float]:
    """The error of each contender's logits behind a prompt. Raises VerificationError for another model's."""
    _, prompt = prompts()
    right = {k: contenders[f"{TRANSFORMERS} {EXPERTS_IMPLEMENTATIONS[0]}", k].logits(prompt) for k in COMPARED}
    found = {key: _error(contender.logits(prompt), right[key[1]]) for key, contender in contenders.items()}
    for (name, k), error in found.items():
        limit = QUANTISED_ERROR if name.endswith(("int8", "int4", "Q8_0", "Q4_0")) else FLOAT_ERROR
        if not error <= limit:
            raise VerificationError(
                f"{name}, k {k}: logits are off by {error:.2g} of their norm; the limit is {limit:g}"
            )
    return found


def _error(found: Logits, right: Logits) -> float:
    return float(np.linalg.norm(found - right) / np.linalg.norm(right))


def _size_figures(family: Family, scratch: Path) -> tuple[Figure, ...]:
    """Time to build the graphs, memory with all of them loaded, and their disk space."""
    graphs, whole = family.graphs, family.whole
    memory = memory_ratio([graphs[whole.id], *(path for name, path in graphs.items() if name != whole.id)])
    shards = {
        shard.block: shard for shard in family.plan.shards
    }.values()  # one for each source block, and the non-block tensors
    weights = sum(tensor.source.bytes for shard in shards for tensor in shard.tensors)
    return (
        Figure(
            name=f"{len(graphs)} graphs built",
            value=f"{family.build_s:.1f} s",
            target="≤ 10 s",
            met=family.build_s <= 10,
        ),
        at_most(f"{len(graphs)} graphs loaded, memory over one's", memory, 1.15),
        at_most("onnx/ over weights, float32", disk_bytes(scratch / "onnx") / weights, 1.03),
    )


def _bandwidth_figure(family: Family, timings: Timings) -> Figure:
    """How much of the time that reading a token's weights takes alone a decoded token takes, median over the rounds."""
    per_second = active_bytes(family, LARGE_K) / READ_BYTES
    share = statistics.median(1e3 * per_second * one.read_s / one.decode_ms for one in timings["float32", LARGE_K])
    return at_least(f"fraction of read bandwidth, float32, k {LARGE_K}", share, 0.64)
