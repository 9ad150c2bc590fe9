"""The ratios that the benchmark is for, with what each has to be."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from profiles.benchmarks.figures import Figure, at_least, at_most
from profiles.benchmarks.onnx.timing import Timings, median_of, median_ratio

MOBIUS, TRANSFORMERS, LLAMA = "mobius-onnx", "transformers", "llama.cpp"
LARGE_K, SMALL_K = 8, 2
KINDS = {"float32": "F32", "int8": "Q8_0", "int4": "Q4_0"}  # what llama.cpp has in place of each type
_FIELDS = {"prefill": "prefill_ms", "decode": "decode_ms"}
MEMORY_TARGET = 1.2


@dataclass(frozen=True, kw_only=True, slots=True)
class _Target:
    """`contender` has to be so many times as fast as `other` at `what`, with k experts per token."""

    what: str
    contender: str
    other: str
    k: int
    least: float


def _targets() -> Iterator[_Target]:
    for dtype in ("int8", "int4"):
        for k, least in ((LARGE_K, 2.3), (SMALL_K, 1.9)):
            yield _Target(what="decode", contender=dtype, other="float32", k=k, least=least)
    yield _Target(what="prefill", contender="int8", other="float32", k=LARGE_K, least=1.4)
    for k, decode in ((LARGE_K, 3.3), (SMALL_K, 2.2)):
        yield _Target(what="decode", contender="float32", other=TRANSFORMERS, k=k, least=decode)
        yield _Target(what="prefill", contender="float32", other=TRANSFORMERS, k=k, least=1.0)
    yield _Target(what="decode", contender="float32", other=MOBIUS, k=LARGE_K, least=5.0)
    yield _Target(what="prefill", contender="float32", other=MOBIUS, k=LARGE_K, least=3.0)
    over_llama = {"float32": (1.2, 0.85, 0.85), "int8": (1.5, 1.0, 1.15), "int4": (1.15, 0.7, 0.7)}
    for dtype, (prefill, decode, small) in over_llama.items():
        for k, least in ((LARGE_K, decode), (SMALL_K, small)):
            yield _Target(what="prefill", contender=dtype, other=f"{LLAMA} {KINDS[dtype]}", k=k, least=prefill)
            yield _Target(what="decode", contender=dtype, other=f"{LLAMA} {KINDS[dtype]}", k=k, least=least)


def speed_figures(timings: Timings) -> tuple[Figure, ...]:
    """A figure for each target: the median of the ratios within each round; skipped where a contender is missing."""
    return tuple(_speed_figure(timings, target) for target in _targets())


def _speed_figure(timings: Timings, target: _Target) -> Figure:
    name, field = f"{target.what}, {target.contender} over {target.other}, k {target.k}", _FIELDS[target.what]
    others = [found for (other, k), found in timings.items() if other.startswith(target.other) and k == target.k]
    if not others:
        return Figure(name=name, value="not run", target=f"≥ {target.least:g}", met=None)
    quickest = min(others, key=lambda found: median_of(field, found))
    return at_least(name, median_ratio(field, quickest, timings[target.contender, target.k]), target.least)


def memory_figures(peaks: Mapping[str, int]) -> tuple[Figure, ...]:
    """Peak memory of each type's graph over that of llama.cpp's file."""
    figures = []
    for dtype, kind in KINDS.items():
        name, other = f"peak memory, {dtype} over {LLAMA} {kind}", f"{LLAMA} {kind}"
        if other in peaks:
            figures.append(at_most(name, peaks[dtype] / peaks[other], MEMORY_TARGET))
        else:
            figures.append(Figure(name=name, value="not run", target=f"≤ {MEMORY_TARGET:g}", met=None))
    return tuple(figures)
