"""The rules that recommend combinations from the drops as measured: the study's, and what they leave out of sight."""

from collections.abc import Sequence

from exporter.evidence.evidence import INDEPENDENT, ROBUST, STEPWISE
from exporter.evidence.strategies import Rule, Steps, choose_steps
from profiles.evidence.combining.analysis import ANALYSIS_FILE, is_candidate
from profiles.evidence.combining.combination import Combination, Removed, Study

PARETO, ESTIMATED = "pareto", "estimated"
RULES = (STEPWISE, INDEPENDENT, ROBUST, ESTIMATED)
"""Those that recommend one combination of each size; `PARETO` leaves several."""
TOP = 5


def candidates(study: Study, size: int, *, protected: Sequence[int]) -> tuple[Combination, ...]:
    """The study's candidates of this size that remove no protected block: tried on two data sets at least, mean drop 0
    or more."""
    return tuple(
        one
        for one in study.combinations
        if len(one.removed) == size and is_candidate(one) and not set(one.removed) & set(protected)
    )


def best(found: Sequence[Combination], count: int = TOP) -> tuple[Combination, ...]:
    """Those of least mean drop, the least first; of equal ones the first in the study."""
    return tuple(sorted(found, key=lambda one: one.mean)[:count])


def steps_of(study: Study, strategy: str, *, protected: tuple[int, ...], min_datasets: int) -> Steps:
    """What the exporter's rule `strategy` (stepwise, independent or robust) chooses for each size, with its notes."""
    rule = Rule(strategy=strategy, min_datasets=min_datasets, protected=protected)
    sets = tuple(one.as_removal_set() for one in study.combinations)
    return choose_steps(sets, rule, file=ANALYSIS_FILE, blocks=study.blocks)


def chosen_by(study: Study, strategy: str, *, protected: tuple[int, ...], min_datasets: int) -> tuple[Combination, ...]:
    """The combinations that the exporter's rule chooses, ascending in size."""
    known = {one.removed: one for one in study.combinations}
    steps = steps_of(study, strategy, protected=protected, min_datasets=min_datasets)
    return tuple(known[one.blocks] for one in steps.sets)


def undominated(found: Sequence[Combination]) -> tuple[Combination, ...]:
    """The Pareto frontier over mean drop, spread and number of data sets, the least drop first."""
    kept = [one for one in found if not any(dominates(other, one) for other in found)]
    return tuple(sorted(kept, key=lambda one: one.mean))


def dominates(one: Combination, other: Combination) -> bool:
    """Whether `one` loses no more, spreads no more and was tried on no fewer data sets, and is better in one of
    these."""
    no_worse = one.mean <= other.mean and one.std <= other.std and one.count >= other.count
    return no_worse and (one.mean, one.std, one.count) != (other.mean, other.std, other.count)


def by_blocks(study: Study) -> dict[Removed, Combination]:
    """Every combination by the blocks it removes."""
    return {one.removed: one for one in study.combinations}
