"""The drops of a study as arrays, and what any two combinations share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from profiles.evidence.combining.combination import Combination, Removed

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Observations:
    """One row for each drop: `members` [combinations, blocks] says what each combination removes, `combination` and
    `dataset` [rows] which of them a row is about, `drops` [rows] what was lost there (fractions)."""

    removed: tuple[Removed, ...]
    datasets: tuple[str, ...]
    members: Array
    combination: Places
    dataset: Places
    drops: Array


def observe(combinations: Sequence[Combination], datasets: Sequence[str], *, blocks: int) -> Observations:
    """The rows of these combinations, in their order; each has to remove something."""
    rows = [
        (number, datasets.index(name), drop)
        for number, one in enumerate(combinations)
        for name, drop in one.drops.items()
    ]
    removed = tuple(one.removed for one in combinations)
    return Observations(
        removed=removed,
        datasets=tuple(datasets),
        members=membership(removed, blocks=blocks),
        combination=np.array([row[0] for row in rows], dtype=np.intp),
        dataset=np.array([row[1] for row in rows], dtype=np.intp),
        drops=np.array([row[2] for row in rows], dtype=np.float64),
    )


def membership(removed: Sequence[Removed], *, blocks: int) -> Array:
    """One row a combination, one column a block: 1 where it is removed."""
    members = np.zeros((len(removed), blocks))
    for row, gone in zip(members, removed, strict=True):
        row[list(gone)] = 1.0
    return members
