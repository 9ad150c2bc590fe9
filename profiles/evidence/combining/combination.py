"""What a study measured: searches of single data sets, and combinations of removed blocks over all of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from exporter.evidence.evidence import RemovalSet
from runtime.documents.manifest import DropRecord

Removed = tuple[int, ...]
"""Blocks that were removed together, ascending."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One combination on one data set: what accuracy remained, and how much was lost, as fractions."""

    removed: Removed
    accuracy: float
    drop: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """All trials on one data set, in the order of the file, none twice; `blocks` is None where the file does not say
    how many the model has. `notes` say what was passed over."""

    dataset: str
    split: str
    path: str
    baseline: float
    blocks: int | None
    trials: tuple[Trial, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Combination:
    """One combination over the data sets it was tried on: drop by data set, their mean and population spread, and the
    mean accuracy that remained (fractions)."""

    removed: Removed
    drops: Mapping[str, float]
    mean: float
    std: float
    accuracy: float

    @property
    def count(self) -> int:
        """On how many data sets it was tried."""
        return len(self.drops)

    @property
    def name(self) -> str:
        """The key of cross_dataset_analysis.json: the text of the tuple."""
        return str(self.removed)

    def as_removal_set(self) -> RemovalSet:
        """The form in which the exporter's strategies take it."""
        return RemovalSet(
            blocks=self.removed,
            drop=DropRecord(mean=self.mean, std=self.std, datasets=tuple(self.drops)),
            place=f"combination_stats.{self.name}",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """Combinations in the order in which they first appear, over `datasets`, of a model of `blocks` blocks. `notes` say
    what was passed over or assumed in reading, `source` where it was read, `searches` what it was computed from (empty:
    it was read from an analysis)."""

    combinations: tuple[Combination, ...]
    datasets: tuple[str, ...]
    blocks: int
    notes: tuple[str, ...]
    source: str
    searches: tuple[Search, ...] = ()


def sizes(combinations: Iterable[Combination]) -> tuple[int, ...]:
    """How many blocks the combinations remove, each number once, ascending; the whole model does not count."""
    return tuple(sorted({len(one.removed) for one in combinations if one.removed}))
