"""The gate: paired comparison of measured scores with a baseline, data set by data set; the worst data set decides.

For each data set let Δ be the true mean of measured − baseline over samples like these.
Samples of one image belong together: they are resampled, tested and counted by image.
- *fail*: "Δ ≥ −tolerance" is rejected at α, one-sided, after Holm's correction over all that is compared, data sets and
  variants. 0/1 metrics with no tolerance use McNemar's exact test, all others the studentised paired bootstrap. So an
  unchanged family fails anywhere with probability at most α.
- *pass*: no failure, and with confidence `power` Δ is above −detect: a drop of `detect` points or more is ruled out.
- *not enough samples to tell*: neither; `needed` says how many would do if the change stayed as observed.
With `profiles.accuracy.statistics.required_samples` samples a true drop of `detect` fails with probability `power`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import stats

from profiles.accuracy.gate.limits import Limits
from profiles.accuracy.statistics import (
    Values,
    by_image,
    drop_p_value,
    holm,
    largest_change,
    lower_bound,
    lower_bound_of,
    mcnemar_p_value,
)
from profiles.errors import MeasurementError

PASS = "pass"
FAIL = "fail"
UNKNOWN = "not enough samples to tell"
_ORDER = (PASS, UNKNOWN, FAIL)

RESAMPLES = 10_000
SEED = 0
MCNEMAR = "McNemar, exact (mid-p)"
BOOTSTRAP = "paired bootstrap, studentised"
BY_IMAGE = "paired bootstrap by image, studentised"
_MOST_SAMPLES = 10**9


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Scores of the same samples in the same order, before and now. `binary`: all of them are 0 or 1. `images` names
    the image of each sample that shares it with others, None for all else (empty: no sample does)."""

    dataset: str
    task: str
    baseline: Values
    measured: Values
    binary: bool
    limits: Limits = field(default_factory=Limits)
    images: tuple[str | None, ...] = ()

    @property
    def changes(self) -> Values:
        """Measured minus baseline, of each image that several samples have together. Raises MeasurementError for scores
        of different numbers of samples, or none."""
        if self.baseline.size != self.measured.size or not self.baseline.size:
            raise MeasurementError(
                f"{self.dataset}: {self.measured.size} measured scores for {self.baseline.size} of the baseline"
            )
        return by_image(self.measured - self.baseline, self.images or (None,) * self.baseline.size)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """The outcome of one data set; scores and drops are fractions, `p` is adjusted by Holm, `worst` the lower bound of
    the change. `images` are the samples that count as independent: those of one image count together.

    `found`: how often a true drop of `detect` fails with so many samples, of which as many change their score as now.
    `needed`: with how many samples the verdict would be pass or fail if the change stayed; None where it is.
    """

    dataset: str
    task: str
    samples: int
    images: int
    baseline: float
    measured: float
    test: str
    p: float
    worst: float
    limits: Limits
    verdict: str
    found: float
    needed: int | None = None

    @property
    def change(self) -> float:
        """Measured minus baseline."""
        return self.measured - self.baseline


def compare(pairs: Sequence[Pair]) -> tuple[Comparison, ...]:
    """Every data set's comparison, in the given order. Raises MeasurementError for pairs of different length or none at
    all."""
    if not pairs:
        raise MeasurementError("nothing to compare: no data set was measured that the baseline has")
    tested = [_test(pair) for pair in pairs]
    p_values = [p for _, p in tested]
    comparisons = []
    for index, (pair, (test, _), p) in enumerate(zip(pairs, tested, holm(p_values), strict=True)):
        comparison = _comparison(pair, test, p, hypotheses=len(pairs))
        needed = _needed(pair, test, index, p_values) if comparison.verdict == UNKNOWN else None
        comparisons.append(replace(comparison, needed=needed))
    return tuple(comparisons)


def worst_verdict(comparisons: Sequence[Comparison]) -> str:
    """The verdict over all data sets: that of the worst."""
    return max((one.verdict for one in comparisons), key=_ORDER.index)


def _test(pair: Pair) -> tuple[str, float]:
    differences = pair.changes
    if pair.binary and pair.limits.tolerance == 0 and differences.size == pair.baseline.size:
        return MCNEMAR, mcnemar_p_value(int(np.count_nonzero(differences < 0)), int(np.count_nonzero(differences > 0)))
    test = BOOTSTRAP if differences.size == pair.baseline.size else BY_IMAGE
    return test, drop_p_value(differences, tolerance=pair.limits.tolerance, resamples=RESAMPLES, seed=SEED)


def _comparison(pair: Pair, test: str, p: float, *, hypotheses: int) -> Comparison:
    differences, limits = pair.changes, pair.limits
    worst = lower_bound(differences, confidence=limits.power)
    verdict = FAIL if p <= limits.alpha else PASS if worst > -limits.detect else UNKNOWN
    return Comparison(
        dataset=pair.dataset,
        task=pair.task,
        samples=pair.baseline.size,
        images=differences.size,
        baseline=float(pair.baseline.mean()),
        measured=float(pair.measured.mean()),
        test=test,
        p=p,
        worst=worst,
        limits=limits,
        verdict=verdict,
        found=_chance(differences, limits, hypotheses),
    )


def _chance(differences: Values, limits: Limits, hypotheses: int) -> float:
    """How often a true drop of `detect` would fail, by the normal approximation; at the level that Holm's correction
    begins with."""
    drop = limits.detect
    spread = max(float(differences.std()), math.sqrt(drop * (1 - drop)))  # of scores of 0 and 1, no less can change
    z = (drop - limits.tolerance) * math.sqrt(differences.size) / spread
    return float(stats.norm.cdf(z - stats.norm.ppf(1 - limits.alpha / hypotheses)))


def _needed(pair: Pair, test: str, index: int, p_values: Sequence[float]) -> int:
    """Samples of the data set at `index` with which it would pass or fail if its change and the p-values of the others
    stayed as observed.

    Holm's correction is that of all `p_values`; as many samples an image as now are thought of. More than 10⁹ samples
    are not searched.
    """
    differences, limits = pair.changes, pair.limits
    mean, square, largest = float(differences.mean()), float((differences**2).mean()), largest_change(differences)

    def decides(size: int) -> bool:
        if lower_bound_of(mean, square, size, largest=largest, confidence=limits.power) > -limits.detect:
            return True
        p_value = _p_value_at(differences, test, limits.tolerance, size)
        return holm([*p_values[:index], p_value, *p_values[index + 1 :]])[index] <= limits.alpha

    images = _smallest(decides, above=differences.size)
    return math.ceil(images * pair.baseline.size / differences.size)


def _p_value_at(differences: Values, test: str, tolerance: float, size: int) -> float:
    """The p-value of `size` samples of which the same share got worse and better, rounded so that the drop is not made
    larger; of the bootstrap by its normal approximation."""
    if test == MCNEMAR:
        worse = int(np.count_nonzero(differences < 0)) * size // differences.size
        better = math.ceil(int(np.count_nonzero(differences > 0)) * size / differences.size)
        return mcnemar_p_value(worse, better)
    mean, spread = float(differences.mean()), float(differences.std())
    if spread == 0.0:
        return 0.0 if mean < -tolerance else 1.0
    return float(stats.norm.cdf((mean + tolerance) / spread * math.sqrt(size)))


def _smallest(holds: Callable[[int], bool], *, above: int) -> int:
    """The smallest number above `above` for which `holds`, by doubling and bisection; at most 10⁹, which stands for
    more."""
    low, high = above, 2 * above
    while not holds(high):
        if high >= _MOST_SAMPLES:
            return _MOST_SAMPLES
        low, high = high, min(2 * high, _MOST_SAMPLES)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
