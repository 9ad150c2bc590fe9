"""Data sets against each other: whether they lose by the same combinations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, pstdev
from typing import Any

from profiles.evidence.combining.combination import Study

PAIRS_FILE = "pairwise_dataset_stats.json"
LEAST_COMMON = 3
"""Combinations in common from which on a correlation is told."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two data sets over the combinations tried on both: Pearson's correlation of their drops (None: too few, or one
    never changes), the same `without_block_0`, whose loss makes any two data sets look alike, and the mean, population
    standard deviation and mean size of the difference, first less second (fractions; None: nothing in common)."""

    first: str
    second: str
    same_type: bool
    common: int
    correlation: float | None
    without_block_0: float | None
    difference: float | None
    difference_std: float | None
    difference_size: float | None


def pairs(study: Study, types: Mapping[str, str]) -> tuple[Pair, ...]:
    """Every pair of data sets, in the order of the study."""
    return tuple(_pair(study, types, first, second) for first, second in combinations(study.datasets, 2))


def _pair(study: Study, types: Mapping[str, str], first: str, second: str) -> Pair:
    both = [one for one in study.combinations if one.removed and first in one.drops and second in one.drops]
    kept = [combination for combination in both if 0 not in combination.removed]
    one, other = [combination.drops[first] for combination in both], [combination.drops[second] for combination in both]
    apart = [left - right for left, right in zip(one, other, strict=True)]
    return Pair(
        first=first,
        second=second,
        same_type=types[first] == types[second],
        common=len(both),
        correlation=correlation(one, other),
        without_block_0=correlation([a.drops[first] for a in kept], [a.drops[second] for a in kept]),
        difference=fmean(apart) if apart else None,
        difference_std=pstdev(apart) if apart else None,
        difference_size=fmean(map(abs, apart)) if apart else None,
    )


def correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Pearson's correlation; None of fewer than `LEAST_COMMON` values, or where one side is constant."""
    if len(one) < LEAST_COMMON:
        return None
    left, right = fmean(one), fmean(other)
    joint = sum((a - left) * (b - right) for a, b in zip(one, other, strict=True))
    spread = sum((a - left) ** 2 for a in one) * sum((b - right) ** 2 for b in other)
    return joint / spread**0.5 if spread > 0 else None


def pairs_document(found: Sequence[Pair]) -> dict[str, Any]:
    """The document `pairwise_dataset_stats.json`; drops are fractions."""
    return {
        f"{one.first}_vs_{one.second}": {
            "dataset1": one.first,
            "dataset2": one.second,
            "same_task_type": one.same_type,
            "num_common_combinations": one.common,
            "correlation": one.correlation,
            "correlation_without_block_0": one.without_block_0,
            "mean_difference": one.difference,
            "std_difference": one.difference_std,
            "mean_abs_difference": one.difference_size,
        }
        for one in found
    }
