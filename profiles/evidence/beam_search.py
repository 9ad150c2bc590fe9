"""Beam search for the blocks that a data set misses least, whatever measures the accuracy of a cut model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PROTECTED = 0
"""Never removed: block 0."""

Removed = tuple[int, ...]
Accuracy = Callable[[Removed], float]
"""The accuracy, a fraction, of a model without these blocks, ascending."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One configuration that was measured."""

    step: int
    removed: Removed
    accuracy: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What a search measured on: a data set by name and split, how many samples, and the id of the metric."""

    dataset: str
    split: str
    samples: int
    metric: str


def beam_search(accuracy: Accuracy, *, blocks: int, width: int, most_removed: int) -> tuple[Step, ...]:
    """Every configuration measured, in order: each step adds one block to each of the `width` best of the step before.

    Block 0 is never removed. Equal accuracies go to the smaller block numbers, so that the order is reproducible. The
    method is beam search as in the HARPY recogniser (Lowerre, 1976), over sets instead of sequences.
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


def search_results(
    accuracy: Accuracy, subject: Subject, *, blocks: int, width: int, most_removed: int
) -> dict[str, Any]:
    """The document `exp3_accuracy_sensitivity_v2_results.json` of the pruning study of MolmoE-1B: a beam search with
    the accuracy and the drop of every configuration."""
    baseline = accuracy(())
    steps = beam_search(accuracy, blocks=blocks, width=width, most_removed=most_removed)
    return {
        "dataset_name": subject.dataset,
        "split": subject.split,
        "metric": subject.metric,
        "num_samples": subject.samples,
        "num_total_blocks": blocks,
        "beam_width": width,
        "max_blocks_removed": most_removed,
        "baseline_accuracy": baseline,
        "summary": [
            {
                "step": entry.step,
                "removed_block_indices": list(entry.removed),
                "accuracy": entry.accuracy,
                "accuracy_drop": baseline - entry.accuracy,
            }
            for entry in steps
        ],
    }
