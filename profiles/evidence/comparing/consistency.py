"""How much a combination's drop differs between data sets."""

from dataclasses import dataclass

from profiles.evidence.combining.analysis import is_candidate
from profiles.evidence.combining.combination import Combination, Study


@dataclass(frozen=True, kw_only=True, slots=True)
class Consistency:
    """A combination with its coefficient of variation: population standard deviation over mean of its drops."""

    combination: Combination
    variation: float


def consistencies(study: Study) -> tuple[Consistency, ...]:
    """The candidates without block 0 with a mean drop above 0, the most consistent first, and of equal ones those
    tried on more data sets."""
    found = [one for one in study.combinations if is_candidate(one) and one.mean > 0 and 0 not in one.removed]
    return tuple(
        sorted(
            (Consistency(combination=one, variation=one.std / one.mean) for one in found),
            key=lambda one: (one.variation, -one.combination.count),
        )
    )
