"""The gate: paired comparison of measured scores with a baseline, data set by data set; the worst data set decides.

For each data set let Δ be the true mean of measured − baseline over samples like these.
- *fail*: "Δ ≥ −tolerance" is rejected at α, one-sided, after Holm's correction over the data sets. 0/1 metrics with no tolerance use McNemar's
  exact test, all others the studentised paired bootstrap. So an unchanged model fails on any data set with probability at most α.
- *pass*: no failure, and with confidence `power` Δ is above −detect: a drop of `detect` points or more is ruled out.
- *not enough samples to tell*: neither; `needed` says how many would do if the difference stayed as observed.
With `required_samples` samples a true drop of `detect` fails with probability `power`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from profiles.errors import MeasurementError
from profiles.statistics import (
    Values,
    drop_p_value,
    holm,
    largest_change,
    lower_bound,
    lower_bound_of,
    mcnemar_p_value,
    required_samples,
    smoothed,
)

PASS = "pass"
FAIL = "fail"
UNKNOWN = "not enough samples to tell"
_ORDER = (PASS, UNKNOWN, FAIL)

RESAMPLES = 10_000
SEED = 0
MCNEMAR = "McNemar, exact (mid-p)"
BOOTSTRAP = "paired bootstrap, studentised"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What counts as a drop, as fractions: `tolerance` is allowed, `detect` must be caught. `alpha` bounds false alarms, `power` is of `detect`."""

    tolerance: float = 0.0
    detect: float = 0.02
    alpha: float = 0.05
    power: float = 0.9

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < self.detect:
            raise MeasurementError(f"a tolerance of {100 * self.tolerance:g} points needs a larger drop to detect, not {100 * self.detect:g} points")
        if not 0 < self.alpha < 0.5 or not 0.5 < self.power < 1:
            raise MeasurementError(f"alpha {self.alpha} and power {self.power}: alpha lies between 0 and 0.5, power between 0.5 and 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Scores of the same samples in the same order, before and now. `binary`: all of them are 0 or 1."""

    dataset: str
    task: str
    baseline: Values
    measured: Values
    binary: bool
    limits: Limits = Limits()


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """The outcome of one data set; scores and drops are fractions, `p` is adjusted by Holm, `worst` the lower bound of the change."""

    dataset: str
    task: str
    samples: int
    baseline: float
    measured: float
    test: str
    p: float
    worst: float
    limits: Limits
    verdict: str
    needed: int | None

    @property
    def change(self) -> float:
        """Measured minus baseline."""
        return self.measured - self.baseline


def compare(pairs: Sequence[Pair]) -> tuple[Comparison, ...]:
    """Every data set's comparison, in the given order. Raises MeasurementError for pairs of different length or none at all."""
    if not pairs:
        raise MeasurementError("nothing to compare: no data set was measured that the baseline has")
    tested = [_test(pair) for pair in pairs]
    adjusted = holm([p for _, p in tested])
    return tuple(_comparison(pair, test, p, len(pairs)) for pair, (test, _), p in zip(pairs, tested, adjusted, strict=True))


def worst_verdict(comparisons: Sequence[Comparison]) -> str:
    """The verdict over all data sets: that of the worst."""
    return max((one.verdict for one in comparisons), key=_ORDER.index)


def _differences(pair: Pair) -> Values:
    if pair.baseline.size != pair.measured.size or not pair.baseline.size:
        raise MeasurementError(f"{pair.dataset}: {pair.measured.size} measured scores for {pair.baseline.size} of the baseline")
    return pair.measured - pair.baseline


def _test(pair: Pair) -> tuple[str, float]:
    differences = _differences(pair)
    if pair.binary and pair.limits.tolerance == 0:
        return MCNEMAR, mcnemar_p_value(int(np.count_nonzero(differences < 0)), int(np.count_nonzero(differences > 0)))
    return BOOTSTRAP, drop_p_value(differences, tolerance=pair.limits.tolerance, resamples=RESAMPLES, seed=SEED)


def _comparison(pair: Pair, test: str, p: float, count: int) -> Comparison:
    differences, limits = _differences(pair), pair.limits
    worst = lower_bound(differences, confidence=limits.power)
    verdict = FAIL if p <= limits.alpha else PASS if worst > -limits.detect else UNKNOWN
    return Comparison(
        dataset=pair.dataset,
        task=pair.task,
        samples=differences.size,
        baseline=float(pair.baseline.mean()),
        measured=float(pair.measured.mean()),
        test=test,
        p=p,
        worst=worst,
        limits=limits,
        verdict=verdict,
        needed=_needed(differences, limits, count) if verdict == UNKNOWN else None,
    )


def _needed(differences: Values, limits: Limits, count: int) -> int:
    """Samples after which the observed change would pass or fail, whichever comes first; the correction for `count` data sets at its strictest.

    Where the observed change lies between the two, it is what a drop of `detect` needs to be seen.
    """
    _, spread = smoothed(differences)
    reach = -limits.tolerance - float(differences.mean())
    quantile = NormalDist().inv_cdf(1 - limits.alpha / count)
    fails = (quantile * float(differences.std()) / reach) ** 2 if reach > 0 else math.inf
    soonest = min(fails, _passes_at(differences, limits))
    planned = required_samples(spread, effect=limits.detect - limits.tolerance, alpha=limits.alpha / count, power=limits.power)
    return max(differences.size + 1, planned if math.isinf(soonest) else math.ceil(soonest))


def _passes_at(differences: Values, limits: Limits) -> float:
    """The number of samples, by bisection, whose lower bound lies above −detect when mean and spread stay as observed; infinite for none."""

    def bound(size: float) -> float:
        return lower_bound_of(float(differences.mean()), float((differences**2).mean()), size, largest=largest, confidence=limits.power)

    largest = largest_change(differences)
    low, high = float(differences.size), 1e9
    if bound(high) <= -limits.detect:
        return math.inf
    while high - low > 0.5:
        middle = (low + high) / 2
        low, high = (low, middle) if bound(middle) > -limits.detect else (middle, high)
    return high
