"""What recommendations cost against the truth of made-up studies, and how often the estimates' intervals hold."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from exporter.evidence.evidence import INDEPENDENT, STEPWISE
from profiles.benchmarks.recommendations.truth import BEAM, KINDS, RANDOM, draw_truth, search_truth
from profiles.evidence.combining.combination import Combination, Removed
from profiles.evidence.combining.recommend import Recommended, Settings, recommend
from profiles.evidence.combining.rules import ESTIMATED

BLOCKS, DATASETS = 12, 5
RULES = (STEPWISE, INDEPENDENT, ESTIMATED)
COVERAGE = (0.88, 0.92)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """Made-up studies of one kind: mean regret by rule (a fraction: what the chosen set really loses over all data
    sets, less the least that a set of its size loses among those tried), and the share of true means inside their
    interval."""

    kind: str
    cells: str
    trees: int
    regrets: Mapping[str, float]
    covered: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """All kinds, and over all trees the mean regret by rule and the share covered."""

    rows: tuple[Row, ...]
    regrets: Mapping[str, float]
    covered: float

    @property
    def met(self) -> bool:
        """Whether estimates choose better than the study's rules and their intervals hold as often as they say."""
        others = min(regret for rule, regret in self.regrets.items() if rule != ESTIMATED)
        return self.regrets[ESTIMATED] < others and COVERAGE[0] <= self.covered <= COVERAGE[1]


def bench_recommendations(*, trees: int, seed: int, say: Callable[[str], None]) -> Bench:
    """`trees` studies of each kind of truth and of each way of leaving cells out."""
    rows = []
    for kind in KINDS:
        for cells in (BEAM, RANDOM):
            found = [_judge(kind, cells, f"{seed} {number}") for number in range(trees)]
            rows.append(
                Row(
                    kind=kind,
                    cells=cells,
                    trees=trees,
                    regrets={rule: fmean(regrets[rule] for regrets, _ in found) for rule in RULES},
                    covered=fmean(covered for _, covered in found),
                )
            )
            say(f"{kind} effects, {cells} cells: done")
    return Bench(
        rows=tuple(rows),
        regrets={rule: fmean(row.regrets[rule] for row in rows) for rule in RULES},
        covered=fmean(row.covered for row in rows),
    )


def _judge(kind: str, cells: str, seed: str) -> tuple[Mapping[str, float], float]:
    """Regret by rule, the mean over the sizes at which every rule chooses, and the share of true means covered."""
    rng = np.random.default_rng(list(f"{kind} {cells} {seed}".encode()))
    truth = draw_truth(rng, kind, blocks=BLOCKS, datasets=DATASETS)
    found = recommend(search_truth(rng, truth, cells=cells), Settings())
    true = {removed: truth.mean(removed) for removed in found.estimates.places}
    return _regrets(found, true), _covered(found, true)


def _regrets(found: Recommended, true: Mapping[Removed, float]) -> Mapping[str, float]:
    chosen = {rule: dict(_sized(found.chosen[rule])) for rule in RULES}
    common = set.intersection(*(set(sets) for sets in chosen.values()))
    least = {size: min(drop for removed, drop in true.items() if len(removed) == size) for size in common}
    return {
        rule: fmean(true[sets[size].removed] - least[size] for size in sorted(common)) for rule, sets in chosen.items()
    }


def _sized(sets: tuple[Combination, ...]) -> Iterator[tuple[int, Combination]]:
    return ((len(one.removed), one) for one in sets)


def _covered(found: Recommended, true: Mapping[Removed, float]) -> float:
    held = []
    for removed, drop in true.items():
        _, low, high = found.estimates.interval(removed)
        held.append(low <= drop <= high)
    return fmean(held)
