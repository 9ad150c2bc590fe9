"""Beam search for the blocks that data sets miss least, whatever measures the accuracy of a cut model. Pure."""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from profiles.evidence.running.cut import Cut, as_tree

PROTECTED = 0
"""Never removed: block 0."""

_SIMULATED = 20

Removed = tuple[int, ...]
Accuracies = Callable[[Sequence[Removed]], Sequence[float]]
"""The accuracy, a fraction, of a model without each of these sets of blocks, ascending: those of a step at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One configuration that was measured."""

    step: int
    removed: Removed
    accuracy: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Beam:
    """How wide and how deep a search goes in a model of so many `blocks`, and which of them may be removed. Raises
    ValueError where block 0 is among these, or one that the model has not, or fewer than `most_removed`."""

    blocks: int
    width: int
    most_removed: int
    candidates: tuple[int, ...]

    def __post_init__(self) -> None:
        for block in self.candidates:
            if block == PROTECTED:
                raise ValueError(f"block {PROTECTED} is never removed")
            if not 0 <= block < self.blocks:
                raise ValueError(f"no block {block}: the model has blocks 0–{self.blocks - 1}")
        if self.most_removed > len(self.candidates):
            raise ValueError(f"{self.most_removed} blocks to remove, but only {len(self.candidates)} candidates")

    def grown(self, beam: Iterable[Removed]) -> list[Removed]:
        """The sets that have one block more than those in the beam, ascending."""
        return sorted(
            {tuple(sorted((*removed, block))) for removed in beam for block in self.candidates if block not in removed}
        )


def all_candidates(blocks: int) -> tuple[int, ...]:
    """Every block but block 0."""
    return tuple(block for block in range(blocks) if block != PROTECTED)


def beam_search(accuracies: Accuracies, beam: Beam) -> tuple[Step, ...]:
    """Every configuration measured, in order: each step adds one block to each of the `width` best of the step before.

    Equal accuracies go to the smaller block numbers, so that the order is reproducible. The method is beam search as in
    the HARPY recogniser (Lowerre, 1976), over sets instead of sequences.
    """
    best: list[Removed] = [()]
    measured: list[Step] = []
    for step in range(1, beam.most_removed + 1):
        grown = beam.grown(best)
        found = [
            Step(step=step, removed=removed, accuracy=accuracy)
            for removed, accuracy in zip(grown, accuracies(grown), strict=True)
        ]
        measured += found
        best = [entry.removed for entry in sorted(found, key=lambda entry: (-entry.accuracy, entry.removed))]
        best = best[: beam.width]
    return tuple(measured)


def expected_runs(beam: Beam) -> int:
    """How many blocks a batch is run through in a search, each that cuts share once, the whole model included: the mean
    over beams drawn at random."""
    rng, total = random.Random(0), 0

    def draw(grown: Sequence[Removed]) -> list[float]:
        nonlocal total
        total += as_tree([Cut(removed=removed) for removed in grown], beam.blocks).runs
        return [rng.random() for _ in grown]

    for _ in range(_SIMULATED):
        beam_search(draw, beam)
    return round(total / _SIMULATED) + beam.blocks
