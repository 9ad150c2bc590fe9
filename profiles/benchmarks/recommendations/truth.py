"""Made-up studies whose true drops are known: effects of data sets, blocks and pairs of blocks, and noisy searches."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

import numpy as np
import numpy.typing as npt

from profiles.evidence.combining.combination import Removed, Search, Study, Trial
from profiles.evidence.combining.study import study_of

Array = npt.NDArray[np.float64]
BASELINE = 0.75
NOISE = 0.006
"""The standard deviation of a measured drop: that of about 3,000 samples, most of which both models get right."""
WIDTH, STEPS = 3, 4
KINDS = ("normal", "heavy", "scaled")
BEAM, RANDOM = "beam", "random"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Truth:
    """Effects on drops (fractions): of a data set [data sets], of a block there [blocks, data sets], of a pair there
    [blocks, blocks, data sets]."""

    dataset: Array
    block: Array
    pair: Array

    def drop(self, removed: Removed, dataset: int) -> float:
        """What the combination really loses on a data set."""
        total = self.dataset[dataset] + sum(self.block[block, dataset] for block in removed)
        return float(total + sum(self.pair[one, other, dataset] for one, other in combinations(removed, 2)))

    def mean(self, removed: Removed) -> float:
        """What it really loses on average over all data sets."""
        return fmean(self.drop(removed, dataset) for dataset in range(len(self.dataset)))


def draw_truth(rng: np.random.Generator, kind: str, *, blocks: int, datasets: int) -> Truth:
    """Random effects: `normal` ones; `heavy`, with few large blocks and sparse pairs; `scaled`, where data sets differ
    by a factor."""
    block_only, pair_only = (blocks, 1), (blocks, blocks, 1)
    everywhere, pair_everywhere = (blocks, datasets), (blocks, blocks, datasets)
    if kind == "normal":
        block = np.abs(rng.normal(0.04, 0.03, block_only)) + rng.normal(0, 0.02, everywhere)
        pair = rng.normal(0.01, 0.02, pair_only) + rng.normal(0, 0.008, pair_everywhere)
        return Truth(dataset=rng.normal(0, 0.01, datasets), block=block, pair=pair)
    if kind == "heavy":
        block = rng.gamma(1.5, 0.04, block_only) * (1 + 0.5 * rng.normal(size=everywhere))
        pair = rng.laplace(0.01, 0.015, pair_only) * (rng.random(pair_only) < 0.5) * np.ones(datasets)
        return Truth(dataset=rng.normal(0, 0.02, datasets), block=block, pair=pair)
    factor = rng.lognormal(0, 0.35, datasets)
    block, pair = rng.gamma(2, 0.025, block_only) * factor, rng.normal(0.005, 0.02, pair_only) * factor
    return Truth(dataset=np.zeros(datasets), block=block, pair=pair)


def search_truth(rng: np.random.Generator, truth: Truth, *, cells: str) -> Study:
    """The study of searches of every data set: by `beam`, which measures what grew out of the best; or of `random`
    cells, half of all sets that grow out of three random ones."""
    blocks, datasets = truth.block.shape
    searches = [
        Search(
            dataset=f"data-set-{number}",
            split="train+validation",
            path="made up",
            baseline=BASELINE,
            blocks=blocks,
            trials=tuple(
                Trial(removed=removed, accuracy=BASELINE - drop, drop=drop)
                for removed, drop in _measured(rng, truth, number, cells).items()
            ),
        )
        for number in range(datasets)
    ]
    return study_of(searches, source="made up")


def _measured(rng: np.random.Generator, truth: Truth, dataset: int, cells: str) -> Mapping[Removed, float]:
    found: dict[Removed, float] = {}
    grown_from: list[Removed] = [()]
    for step in range(STEPS):
        sets = _grown(grown_from, len(truth.block))
        if cells == RANDOM and step > 0:
            sets = [one for one in sets if rng.random() < 0.5]
        found |= {one: truth.drop(one, dataset) + float(rng.normal(0, NOISE)) for one in sets}
        order = sorted(sets, key=found.__getitem__) if cells == BEAM else [sets[i] for i in rng.permutation(len(sets))]
        grown_from = order[:WIDTH]
    return found


def _grown(removed: list[Removed], blocks: int) -> list[Removed]:
    return sorted({tuple(sorted((*one, block))) for one in removed for block in range(1, blocks) if block not in one})
