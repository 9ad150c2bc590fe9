"""Intervals and paired tests for scores of one list of samples; all random numbers come from a given seed."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]

_FEW_VALUES = 64
_FEW_CHANGES = 20
_CHUNK = 4_000_000


def resampled_moments(values: Values, *, resamples: int, seed: int | tuple[int, ...]) -> tuple[Values, Values]:
    """Mean and mean square of each of `resamples` samples drawn with replacement from `values` [n] (Efron, 1979).

    Where few different values occur, only how often each is drawn is random: one multinomial draw a resample instead of
    n. `scipy.stats.bootstrap` draws all n for each, and by it the intervals of baselines that exist would not
    come out again. Raises ValueError without values.
    """
    if values.size == 0:
        raise ValueError("no values to resample")
    rng = np.random.default_rng(seed)
    unique, counts = np.unique(values, return_counts=True)
    if len(unique) <= _FEW_VALUES:
        drawn = rng.multinomial(values.size, counts / values.size, size=resamples)
        return drawn @ unique / values.size, drawn @ unique**2 / values.size
    rows = max(1, _CHUNK // values.size)
    means, squares = np.empty(resamples), np.empty(resamples)
    for start in range(0, resamples, rows):
        stop = min(start + rows, resamples)
        part = values[rng.integers(values.size, size=(stop - start, values.size))]
        means[start:stop], squares[start:stop] = part.mean(axis=1), (part**2).mean(axis=1)
    return means, squares


def by_image(values: Values, images: Sequence[str | None]) -> Values:
    """Values of samples that can be taken as independent, one an image: those of one image belong together. Their mean
    is that of `values` [n]; a sample whose image is None has one of its own. Where no image occurs twice they are the
    values themselves.

    With G images, `n` samples and mean m, an image of s samples and sum t becomes m + G / n · (t − m · s), which is its
    part in the mean to first order (Cochran, Sampling Techniques, 1977, 9A.1); of equally many samples an image, their
    mean. Where less than 20 images have a value other than 0, as of differences, it becomes G / n · t, so that the
    others stay 0.
    """
    named = [image for image in images if image is not None]
    if len(set(named)) == len(named):
        return values
    keys = [("sample", str(place)) if image is None else ("image", image) for place, image in enumerate(images)]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    places = np.array([numbers[key] for key in keys])
    sums = np.bincount(places, weights=values)
    sizes = np.bincount(places)
    scale = len(sums) / values.size
    if np.count_nonzero(sums) < _FEW_CHANGES:
        return np.asarray(scale * sums, np.float64)
    mean = float(values.mean())
    return np.asarray(mean + scale * (sums - mean * sizes), np.float64)


def bootstrap_interval(
    values: Values,
    *,
    level: float,
    resamples: int,
    seed: int,
    highest: float = 1.0,
    images: Sequence[str | None] | None = None,
) -> tuple[float, float]:
    """Percentile interval (Efron, 1979) of the mean over samples, two-sided, at `level` between 0 and 1, of scores
    between 0 and `highest`.

    Samples that all have one score give nothing to resample, and its interval would have no width however few they are.
    Then at most a share of 1 − ((1 − level) / 2)^(1/n) of all samples has another score (Clopper and Pearson, 1934, in
    its closed form for 0 of n), at worst 0 or `highest`.

    Where several samples have one of the `images`, images are resampled, not samples, and the interval is expanded for
    their small number (Hesterberg, The American Statistician 69, 2015, 4.3), within the scores' limits.
    """
    if images is not None and (parts := by_image(values, images)) is not values:
        low, high = _expanded(parts, level=level, resamples=resamples, seed=seed, highest=highest)
        return min(max(low, 0.0), float(values.mean())), max(min(high, highest), float(values.mean()))
    if values.size and values.min() == values.max():
        score, other = float(values[0]), 1 - ((1 - level) / 2) ** (1 / values.size)
        return score - other * score, score + other * max(0.0, highest - score)
    means, _ = resampled_moments(values, resamples=resamples, seed=seed)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _expanded(parts: Values, *, level: float, resamples: int, seed: int, highest: float) -> tuple[float, float]:
    """The percentile interval at the level that makes it as wide as Student's t has it for so few values."""
    count = parts.size
    if count < 2 or parts.min() == parts.max():
        return bootstrap_interval(parts, level=level, resamples=resamples, seed=seed, highest=highest)
    reach = math.sqrt(count / (count - 1)) * float(stats.t.ppf((1 + level) / 2, count - 1))
    tail = max(float(stats.norm.cdf(-reach)), 1 / resamples)
    means, _ = resampled_moments(parts, resamples=resamples, seed=seed)
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def drop_p_value(differences: Values, *, tolerance: float, resamples: int, seed: int) -> float:
    """One-sided p-value of "the mean difference is at least −tolerance" against "the score dropped by more than the
    tolerance".

    `differences` [n] are measured minus baseline, sample by sample. Studentised paired bootstrap (Efron and Tibshirani,
    An Introduction to the Bootstrap, 1993, chapters 12 and 16): the t statistic is compared with the t statistics of
    resamples around the observed mean. Resampling is too bold where few samples
    changed and where a few changes are far larger than the rest, so the p-value is at least that of

    - the exact sign-flip test, when fewer than 20 samples changed;
    - the t-test, when a score changed by more than 1, as those of CIDEr do, which have no bound near their mean.

    Raises ValueError without differences.
    """
    if differences.size == 0:
        raise ValueError("no differences to test")
    changed = differences[differences != 0]
    least = sign_flip_p_value(changed) if changed.size < _FEW_CHANGES else 0.0
    mean, spread = float(differences.mean()), float(differences.std())
    if spread == 0.0:
        return least if mean < -tolerance else 1.0
    if largest_change(differences) > 1:
        least = max(least, t_p_value(differences, tolerance=tolerance))
    resampled = _studentised(differences, resamples=resamples, seed=seed)
    bootstrap = (np.count_nonzero(resampled <= (mean + tolerance) / spread) + 1) / (resamples + 1)
    return max(least, float(bootstrap))


def t_p_value(differences: Values, *, tolerance: float) -> float:
    """One-sided p-value of Student's t-test (1908) of "the mean difference is at least −tolerance"; `differences`
    [n ≥ 2] have some spread."""
    statistic = (float(differences.mean()) + tolerance) / float(differences.std(ddof=1)) * math.sqrt(differences.size)
    return float(stats.t.cdf(statistic, differences.size - 1))


def sign_flip_p_value(changed: Values) -> float:
    """One-sided exact p-value (mid-p) of "a change is as likely up as down": the share of all sign patterns with a
    smaller sum (Fisher, The Design of Experiments, 1935; `scipy.stats.permutation_test` has no mid-p).

    `changed` [n] are the differences that are not 0; all 2ⁿ patterns are tried.
    """
    sums = np.zeros(1)
    for size in np.abs(changed):
        sums = np.concatenate([sums - size, sums + size])
    observed, near = float(changed.sum()), 1e-9
    below = np.count_nonzero(sums < observed - near)
    return (
        float((below + 0.5 * (np.count_nonzero(sums <= observed + near) - below)) / sums.size) if changed.size else 1.0
    )


def _studentised(differences: Values, *, resamples: int, seed: int) -> Values:
    """(mean of a resample − mean) / standard deviation of the resample, of `differences` where the resample has
    none."""
    means, squares = resampled_moments(differences, resamples=resamples, seed=seed)
    spreads = np.sqrt(np.maximum(squares - means**2, 0.0))
    statistics: Values = (means - differences.mean()) / np.where(spreads > 0, spreads, differences.std())
    return statistics


def mcnemar_p_value(worse: int, better: int) -> float:
    """One-sided exact p-value of "as many samples got better as got worse" against "more got worse", for scores of 0
    and 1 (McNemar, 1947).

    Binomial over the samples that changed, with half the probability of the observed count (mid-p: Fagerland, Lydersen
    and Laake, BMC Medical Research Methodology 13:91, 2013): the plain exact test rejects far less often than its level
    says when few samples changed. No change: 1.
    """
    changed = worse + better
    if changed == 0:
        return 1.0
    return float(stats.binom.cdf(better, changed, 0.5) - 0.5 * stats.binom.pmf(better, changed, 0.5))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p-values (Scandinavian Journal of Statistics 6, 1979), in the given order: comparing them with α
    keeps the chance of any false alarm below α."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = largest
    return tuple(adjusted)


def largest_change(differences: Values) -> float:
    """The largest change that one sample is taken to be able to make: 1, or what was observed where that is more."""
    return max(1.0, float(np.abs(differences).max(initial=0.0)))


def smoothed(differences: Values) -> tuple[float, float]:
    """Mean and standard deviation after adding one sample that got wholly worse and one that got wholly better, as
    Agresti and Min (Statistics in Medicine 24, 2005) do for paired proportions.

    Without it, a few samples that did not change would look like proof that none ever does.
    """
    return _smoothed(
        float(differences.mean()), float((differences**2).mean()), differences.size, largest_change(differences)
    )


def _smoothed(mean: float, square: float, size: float, largest: float) -> tuple[float, float]:
    padded = mean * size / (size + 2)
    return padded, math.sqrt(max(0.0, (square * size + 2 * largest**2) / (size + 2) - padded**2))


def lower_bound(differences: Values, *, confidence: float) -> float:
    """A value that the true mean difference exceeds with `confidence`, one-sided (normal, smoothed)."""
    mean, square = float(differences.mean()), float((differences**2).mean())
    return lower_bound_of(mean, square, differences.size, largest=largest_change(differences), confidence=confidence)


def lower_bound_of(mean: float, square: float, size: float, *, largest: float, confidence: float) -> float:
    """`lower_bound` of `size` differences with this mean and this mean square."""
    padded, spread = _smoothed(mean, square, size, largest)
    return padded - float(stats.norm.ppf(confidence)) * spread / math.sqrt(size + 2)


def required_samples(spread: float, *, effect: float, alpha: float, power: float) -> int:
    """How many paired samples a one-sided test at `alpha` needs to see a mean difference of `effect` with `power`.

    ((z of 1 − alpha + z of power) · spread / effect)², rounded up (Cohen, Statistical Power Analysis, 1988); `spread`
    is the standard deviation of the differences. Raises ValueError when the effect is not positive.
    """
    if effect <= 0:
        raise ValueError(f"the effect to detect must be positive, not {effect}")
    z = float(stats.norm.ppf(1 - alpha) + stats.norm.ppf(power))
    return max(1, math.ceil((z * spread / effect) ** 2))
