"""Figures with the targets they have to meet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from profiles.benchmarks.timing import Timing, median_of, median_ratio

MOBIUS, ONNX, TRANSFORMERS = "mobius", "onnx", "transformers"
LARGE_K, SMALL_K = 8, 2
_TARGETS = {
    "decode": {LARGE_K: 1.8, SMALL_K: 2.2, MOBIUS: 5.0},
    "prefill": {LARGE_K: 1.0, SMALL_K: 1.0, MOBIUS: 3.0},
}
_LESS_WORK_TARGET = 2.0

Timings = Mapping[tuple[str, int], Sequence[Timing]]
"""Timings by contender and experts per token, those of one round at the same place."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One line of the table: what was measured, the value with its unit, the target ("≥ 1.8"), and whether it is met
    (None: skipped)."""

    name: str
    value: str
    target: str
    met: bool | None


def at_least(name: str, value: float, target: float) -> Figure:
    """The figure of a value that has to be `target` or more."""
    return Figure(name=name, value=f"{value:.2f}", target=f"≥ {target:g}", met=value >= target)


def at_most(name: str, value: float, target: float) -> Figure:
    """The figure of a value that has to be `target` or less."""
    return Figure(name=name, value=f"{value:.3f}", target=f"≤ {target:g}", met=value <= target)


def speed_ratios(timings: Timings) -> tuple[Figure, ...]:
    """Speed over the best of transformers, and over mobius-onnx where it is installed."""
    figures = []
    for what, targets in _TARGETS.items():
        field = f"{what}_ms"
        for k in (LARGE_K, SMALL_K):
            others = (found for (name, of), found in timings.items() if name.startswith(TRANSFORMERS) and of == k)
            best = min(others, key=lambda found: median_of(field, found))
            ratio = median_ratio(field, best, timings[ONNX, k])
            figures.append(at_least(f"{what} over transformers, k {k}", ratio, targets[k]))
        figures.append(_over_mobius(what, timings, targets[MOBIUS]))
    ratio = median_ratio("decode_ms", timings[ONNX, LARGE_K], timings[ONNX, SMALL_K])
    return (*figures, at_least(f"decode, k {SMALL_K} over k {LARGE_K}", ratio, _LESS_WORK_TARGET))


def _over_mobius(what: str, timings: Timings, target: float) -> Figure:
    name = f"{what} over mobius-onnx, k {LARGE_K}"
    if (MOBIUS, LARGE_K) not in timings:
        return Figure(name=name, value="not installed", target=f"≥ {target:g}", met=None)
    return at_least(name, median_ratio(f"{what}_ms", timings[MOBIUS, LARGE_K], timings[ONNX, LARGE_K]), target)
