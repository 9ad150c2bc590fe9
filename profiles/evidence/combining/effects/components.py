"""The parts of a drop that the model tells apart, each as the covariance that it gives to two drops.

A drop is the sum of effects with a normal prior around 0: one of each data set, one more for every block that goes
there; of each block, over all data sets and within one; of each pair of blocks, likewise; what is left of a combination
beyond its pairs; and noise. What they have in common (a constant, a mean effect of a block, a mean effect of a pair)
has a wide prior. So two drops covary by the blocks and pairs that both combinations remove, and more on the same data
set.
"""

import numpy as np

from profiles.evidence.combining.effects.observations import Array, Observations

WIDE = 100.0
"""The prior variance of what all drops share, where the mean square of the drops is 1."""
NAMES = (
    "data set",
    "data set by blocks",
    "block",
    "block by data set",
    "pair",
    "pair by data set",
    "combination",
    "noise",
)
_OF_ONE_DATASET = (True, True, False, True, False, True, False)


def _shapes(members: Array, others: Array) -> tuple[Array, list[Array]]:
    """What two combinations share, [combinations, others]: in all drops, then by component without noise."""
    common = members @ others.T
    pairs = common * (common - 1) / 2
    sizes = np.outer(members.sum(1), others.sum(1))
    all_pairs = np.outer(_pairs(members), _pairs(others))
    same = (common == members.sum(1)[:, None]) & (common == others.sum(1)[None])
    everywhere = WIDE * (1 + sizes + all_pairs)
    return everywhere, [np.ones_like(common), sizes, common, common, pairs, pairs, same.astype(np.float64)]


def _pairs(members: Array) -> Array:
    size: Array = members.sum(1)
    return size * (size - 1) / 2


def between_rows(seen: Observations) -> tuple[Array, list[Array]]:
    """The covariance of observed drops, [rows, rows]: what is wide, and each component without noise at variance 1."""
    everywhere, shapes = _shapes(seen.members, seen.members)
    at = np.ix_(seen.combination, seen.combination)
    same = (seen.dataset[:, None] == seen.dataset[None]).astype(np.float64)
    found = [shape[at] * same if own else shape[at] for shape, own in zip(shapes, _OF_ONE_DATASET, strict=True)]
    return everywhere[at], found


def with_means(members: Array, seen: Observations) -> tuple[Array, list[Array]]:
    """The covariance of the mean over all data sets of each combination with observed drops, [combinations, rows]."""
    everywhere, shapes = _shapes(members, seen.members)
    at = seen.combination
    return everywhere[:, at], [shape[:, at] for shape in _averaged(shapes, len(seen.datasets))]


def between_means(members: Array, seen: Observations) -> tuple[Array, list[Array]]:
    """The covariance of two means over all data sets, [combinations, combinations]."""
    everywhere, shapes = _shapes(members, members)
    return everywhere, _averaged(shapes, len(seen.datasets))


def _averaged(shapes: list[Array], datasets: int) -> list[Array]:
    """Effects of single data sets count by their share in the mean."""
    return [shape / datasets if own else shape for shape, own in zip(shapes, _OF_ONE_DATASET, strict=True)]
