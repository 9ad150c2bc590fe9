"""What a fit knows of itself: predictions for points that it has not seen, and the bound that follows from them."""

import math
from collections.abc import Callable, Hashable, Sequence

import numpy as np

from profiles.latency.fit.observations import Observation
from profiles.latency.fit.regression import Array, fit_terms, predict

VARIANT, LENGTH, BATCH = "variant", "length", "batch"
LENGTH_GROUPS = 4
FOLDS = 5


def group_by(by: str, observations: Sequence[Observation]) -> list[Hashable]:
    """The group of each observation: what is left out together."""
    if by == VARIANT:
        return [one.layers for one in observations]
    if by == BATCH:
        return [one.load.batch for one in observations]
    lengths = np.array([one.load.prompt_tokens for one in observations], dtype=float)
    edges = np.quantile(np.unique(lengths), np.linspace(0, 1, LENGTH_GROUPS + 1)[1:-1])
    return [int(group) for group in np.searchsorted(edges, lengths, side="right")]


def out_of_fold(observations: Sequence[Observation], groups: Sequence[Hashable]) -> Array | None:
    """Each observation as predicted by a fit to the other groups; None where there are fewer than two."""
    different = list(dict.fromkeys(groups))
    if len(different) < 2:
        return None
    found = np.zeros(len(observations))
    for group in different:
        inside = [i for i, other in enumerate(groups) if other == group]
        outside = [one for one, other in zip(observations, groups, strict=True) if other != group]
        found[inside] = predict(fit_terms(outside), [observations[i] for i in inside])
    return found


def interleaved(count: int) -> list[Hashable]:
    """Groups for points that have none of their own: every `FOLDS`-th together."""
    return [index % FOLDS for index in range(count)]


def upper_ratio(measured: Array, predicted: Array, level: float) -> float:
    """The factor on a prediction that what is measured does not exceed, at `level`: the ⌈(n + 1) · level⌉-th
    smallest of measured / predicted (split conformal; Vovk et al. 2005, Lei et al. 2018), at least 1.

    With too few points for the level it is the largest of them.
    """
    ratios = np.sort(measured / np.maximum(predicted, 1e-12))
    rank = min(math.ceil((len(ratios) + 1) * level), len(ratios))
    return max(1.0, float(ratios[rank - 1]))


def coverage(measured: Array, predicted: Array, groups: Sequence[Hashable], level: float) -> float:
    """How often a group's measurements stay below the bound that the other groups give."""
    held = 0
    for group in dict.fromkeys(groups):
        inside = np.array([other == group for other in groups])
        if inside.all():
            return math.nan
        ratio = upper_ratio(measured[~inside], predicted[~inside], level)
        held += int((measured[inside] <= ratio * predicted[inside]).sum())
    return held / len(measured)


def mape(measured: Array, predicted: Array) -> float:
    """The mean absolute error as a share of what was measured."""
    return float(np.mean(np.abs(predicted / measured - 1.0)))


Splitter = Callable[[Sequence[Observation]], list[Hashable]]
