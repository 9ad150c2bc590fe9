"""How often the gate fails what did not change, and how often an interval holds the truth, on simulated scores of
samples that belong together: several questions of one image."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from profiles.accuracy.gate.compare import FAIL, Pair, compare
from profiles.accuracy.statistics import Values, bootstrap_interval

SCORE, CHANGED = 0.7, 0.2
VARIANTS, LEVEL, RESAMPLES = 15, 0.95, 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """Of `runs` simulations with so many questions an image, correlated by so much: the share that failed unchanged,
    for one variant and for a family of VARIANTS, and the share of intervals that hold the true score."""

    questions: int
    correlation: float
    runs: int
    failed: float
    families_failed: float
    covered: float


def simulate(questions: int, correlation: float, *, samples: int, runs: int, seed: int = 0) -> Figure:
    """Scores of 0 and 1, SCORE in the mean, of which a share CHANGED is drawn anew, alike before and now."""
    rng = np.random.default_rng((seed, questions, round(100 * correlation)))
    pairs = list(_pairs(rng, questions, correlation, samples, runs))
    verdicts = [compare([pair])[0].verdict for pair in pairs]
    families = [pairs[start : start + VARIANTS] for start in range(0, runs - VARIANTS + 1, VARIANTS)]
    failed = [any(one.verdict == FAIL for one in compare(family)) for family in families]
    held = []
    for pair in pairs:
        low, high = bootstrap_interval(pair.measured, level=LEVEL, resamples=RESAMPLES, seed=0, images=pair.images)
        held.append(low <= SCORE <= high)
    return Figure(
        questions=questions,
        correlation=correlation,
        runs=runs,
        failed=float(np.mean([one == FAIL for one in verdicts])),
        families_failed=float(np.mean(failed)),
        covered=float(np.mean(held)),
    )


def _pairs(rng: np.random.Generator, questions: int, correlation: float, samples: int, runs: int) -> Iterator[Pair]:
    images = samples // questions
    names = tuple(str(place // questions) for place in range(images * questions))
    for _ in range(runs):
        before, redrawn, again = (
            _below(rng, share, images, questions, correlation) for share in (SCORE, CHANGED, SCORE)
        )
        now = np.where(redrawn > 0, again, before)
        yield Pair(dataset="simulated", task="vqa", baseline=before, measured=now, binary=True, images=names)


def _below(rng: np.random.Generator, share: float, images: int, questions: int, correlation: float) -> Values:
    """0 or 1 for each question, 1 for a share of them; a normal variable behind it is correlated within an image."""
    common = np.repeat(rng.standard_normal(images), questions)
    own = rng.standard_normal(images * questions)
    drawn = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own
    return np.asarray(drawn < stats.norm.ppf(share), np.float64)
