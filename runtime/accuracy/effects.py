"""How alike the effects of two settings are: the covariance of what their log-odds lose against the whole model's.

With r the blocks that are removed and t what their experts were lowered by in those that are kept, between 0 (the
source's top_k) and 1 (one expert), bent by a power, a setting's loss is a sum of effects, each drawn around zero with
its own variance:

- removed_shared, experts_shared: one effect of a removed block, of lowered experts, whichever the block;
- removed_own, experts_own: what a block differs by from it;
- removed_pairs, experts_pairs, crossed_pairs: what two blocks cost together beyond their sum;
- curvature: what a setting costs beyond its sum as a whole, by the square of how much is taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from runtime.documents.accuracy.accuracy_model import Setting

Floats = npt.NDArray[np.float64]

TERMS = (
    "removed_shared",
    "removed_own",
    "removed_pairs",
    "experts_shared",
    "experts_own",
    "experts_pairs",
    "crossed_pairs",
    "curvature",
)
"""The order of `covariances`."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What settings take from the source, each [settings, blocks]: `removed` is 0 or 1, `lowered` 0–1."""

    removed: Floats
    lowered: Floats

    @classmethod
    def of(cls, settings: Sequence[Setting], *, blocks: int, top_k: int, power: float) -> Self:
        """Of settings of a source of `blocks` with `top_k` experts per token."""
        removed, lowered = np.ones((len(settings), blocks)), np.zeros((len(settings), blocks))
        for row, setting in enumerate(settings):
            kept = list(setting.layers)
            removed[row, kept] = 0.0
            lowered[row, kept] = np.log2(top_k / np.asarray(setting.top_k)) / max(np.log2(top_k), 1.0)
        return cls(removed, lowered**power)

    @property
    def amount(self) -> Floats:
        """How much is taken in all, [settings]."""
        total: Floats = self.removed.sum(1) + self.lowered.sum(1)
        return total


def covariances(one: Taken, other: Taken) -> Floats:
    """Of each term with variance 1: [terms, settings of one, settings of other]."""
    removed, lowered = one.removed @ other.removed.T, one.lowered @ other.lowered.T
    return np.stack(
        [
            np.outer(one.removed.sum(1), other.removed.sum(1)),
            removed,
            _pairs(one.removed, other.removed, removed),
            np.outer(one.lowered.sum(1), other.lowered.sum(1)),
            lowered,
            _pairs(one.lowered, other.lowered, lowered),
            removed * lowered,
            np.outer(one.amount**2, other.amount**2),
        ]
    )


def own_variances(taken: Taken) -> Floats:
    """Of each term with variance 1, of each setting with itself: [terms, settings]."""
    removed, lowered = (taken.removed**2).sum(1), (taken.lowered**2).sum(1)
    return np.stack(
        [
            taken.removed.sum(1) ** 2,
            removed,
            (removed**2 - (taken.removed**4).sum(1)) / 2,
            taken.lowered.sum(1) ** 2,
            lowered,
            (lowered**2 - (taken.lowered**4).sum(1)) / 2,
            removed * lowered,
            taken.amount**4,
        ]
    )


def _pairs(one: Floats, other: Floats, product: Floats) -> Floats:
    """The sum over pairs of blocks of the products of all four."""
    sums: Floats = (product**2 - (one**2) @ (other**2).T) / 2
    return sums
