"""Beam search for the blocks that a data set misses least."""

from collections.abc import Callable
from dataclasses import dataclass

PROTECTED = 0

Removed = tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One configuration that was measured."""

    step: int
    removed: Removed
    accuracy: float


def beam_search(
    accuracy: Callable[[Removed], float], *, blocks: int, width: int, most_removed: int
) -> tuple[Step, ...]:
    """Every configuration measured, in order: each step adds one block to each of the `width` best of the step before.

    Block 0 is never removed. Equal accuracies go to the smaller block numbers, so that the order is reproducible.
    """
    beam: list[Removed] = [()]
    measured: list[Step] = []
    for step in range(1, most_removed + 1):
        grown = {
            tuple(sorted((*removed, block)))
            for removed in beam
            for block in range(blocks)
            if block != PROTECTED and block not in removed
        }
        found = [Step(step=step, removed=removed, accuracy=accuracy(removed)) for removed in sorted(grown)]
        measured += found
        beam = [entry.removed for entry in sorted(found, key=lambda entry: (-entry.accuracy, entry.removed))[:width]]
    return tuple(measured)
