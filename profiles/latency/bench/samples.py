"""Repeated measurements of cells, and what they come to."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from profiles.latency.bench.meters import Reading
from runtime.documents.schema import Natural
from runtime.engines.stages import DECODE

OUTLIER = 3.0  # robust standard deviations from the median
_ROBUST = 1.4826  # of a normal distribution's median absolute deviation
_QUARTILES = 1.349  # distance of the quartiles of a normal distribution in standard deviations
_MEDIAN_ERROR = 1.2533  # standard error of a normal sample's median over that of its mean
MOST_WAITED = 0.05
Array = npt.NDArray[np.float64]


class Visit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run of a cell: milliseconds by stage, and (position, milliseconds) of decoded tokens; `taken` is when, ISO
    8601 in UTC, `second` counts from the beginning of the run, pauses left out, `vision_tokens` are those that the
    cell's image became, `waited` is the share of its time in which other programs kept its threads waiting (None where
    the system does not tell).
    """

    cell: str
    taken: str
    second: float
    vision_tokens: Natural
    text_tokens: Natural
    stages: Mapping[str, float]
    decoded: tuple[tuple[float, float], ...]
    reading: Reading
    waited: float | None

    @property
    def disturbed(self) -> bool:
        """Whether other programs had a part in its times."""
        return self.waited is not None and self.waited > MOST_WAITED


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What the repeats of one stage come to, in milliseconds; see `Point` of a profile (runtime/documents/latency)."""

    median: float
    p5: float
    p95: float
    count: int
    outliers: int
    drift: float

    @property
    def spread(self) -> float:
        """Half of the distance between the 5th and the 95th percentile, as a share of the median."""
        return (self.p95 - self.p5) / 2 / self.median


def summarise(values: Sequence[float]) -> Summary:
    """The summary of times in the order in which they were taken. Raises ValueError for none."""
    times = np.array(values, dtype=np.float64)
    median = float(np.median(times))
    deviation = _ROBUST * float(np.median(np.abs(times - median)))
    half = len(times) // 2
    drift = float(np.median(times[half:]) / np.median(times[:half]) - 1.0) if half else 0.0
    p5, p95 = (float(value) for value in np.quantile(times, (0.05, 0.95)))
    outliers = int((np.abs(times - median) > OUTLIER * deviation).sum()) if deviation > 0 else 0
    return Summary(median=median, p5=p5, p95=p95, count=len(times), outliers=outliers, drift=drift)


def relative_error(values: Sequence[float]) -> float:
    """The standard error of the median as a share of it, from the distance of the quartiles (McGill, Tukey and Larsen
    1978); infinite for fewer than three values."""
    if len(values) < 3:
        return float("inf")
    low, median, high = (float(value) for value in np.quantile(values, (0.25, 0.5, 0.75)))
    return _MEDIAN_ERROR * (high - low) / _QUARTILES / float(np.sqrt(len(values))) / median


def by_stage(visits: Sequence[Visit]) -> dict[tuple[str, float | None], list[float]]:
    """The times of one cell's visits by (stage, position), position None but for decoded tokens."""
    found: dict[tuple[str, float | None], list[float]] = defaultdict(list)
    for visit in visits:
        for stage, ms in visit.stages.items():
            found[stage, None].append(ms)
        for position, ms in visit.decoded:
            found[DECODE, position].append(ms)
    return dict(found)


def undisturbed(visits: Sequence[Visit], least: int) -> Sequence[Visit]:
    """The visits that no other program disturbed, where there are `least` of them; else all."""
    calm = [visit for visit in visits if not visit.disturbed]
    return calm if len(calm) >= least else visits


def grouped(visits: Sequence[Visit]) -> Iterator[tuple[str, list[Visit]]]:
    """The visits of each cell, in the order of first appearance."""
    found: dict[str, list[Visit]] = {}
    for visit in visits:
        found.setdefault(visit.cell, []).append(visit)
    yield from found.items()
