"""Numbers that sum up drops, and a study seen by one of its sides."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, median, pstdev


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """Drops (fractions): how many, mean, population standard deviation, least, most, median."""

    count: int
    mean: float
    std: float
    least: float
    most: float
    median: float


def summarize(drops: Iterable[float]) -> Summary | None:
    """The summary of some drops; None of none."""
    found = sorted(drops)
    if not found:
        return None
    return Summary(
        count=len(found),
        mean=fmean(found),
        std=pstdev(found),
        least=found[0],
        most=found[-1],
        median=median(found),
    )
