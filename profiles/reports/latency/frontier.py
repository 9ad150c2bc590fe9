"""The latency–accuracy frontier: which variants another one beats in both. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runtime.documents.baseline import Baseline, ScoreRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Accuracy:
    """The mean score over data sets, as a share, with its interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """A variant in one form (engine and type of weights): the time of an answer and its accuracy. `predicted` says
    that the time was not measured."""

    variant: str
    form: tuple[str, str]
    ms: float
    predicted: bool
    accuracy: Accuracy


def beaten_by(contenders: Sequence[Contender]) -> tuple[Contender | None, ...]:
    """For each contender the one that dominates it, None on the frontier.

    One dominates another that is neither faster nor more accurate, and is not equal to it in both; of several it is
    the most accurate, and of those the fastest.
    """
    best_first = sorted(contenders, key=lambda one: (-one.accuracy.mean, one.ms))
    return tuple(next((other for other in best_first if _dominates(other, one)), None) for one in contenders)


def _dominates(other: Contender, one: Contender) -> bool:
    at_least = other.ms <= one.ms and other.accuracy.mean >= one.accuracy.mean
    return at_least and (other.ms, other.accuracy.mean) != (one.ms, one.accuracy.mean)


def accuracies(baseline: Baseline, form: tuple[str, str], names: Sequence[str]) -> Mapping[str, Accuracy]:
    """The accuracy of each variant in a form over the data sets of these names, which all have scores.

    Data sets are taken to be independent: the half widths of their intervals add up as squares.
    """
    by_variant = _by_variant(baseline, form)
    return {variant: _mean([scores[name] for name in names]) for variant, scores in by_variant.items()}


def common_datasets(baseline: Baseline, forms: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """The data sets that every variant has a score on in each of the forms that the baseline has."""
    each = [scores for form in forms for scores in _by_variant(baseline, form).values()]
    return tuple(name for name in (each[0] if each else ()) if all(name in scores for scores in each))


def _by_variant(baseline: Baseline, form: tuple[str, str]) -> dict[str, dict[str, ScoreRecord]]:
    found: dict[str, dict[str, ScoreRecord]] = {}
    for score in baseline.scores:
        if (score.engine, score.dtype) == form:
            found.setdefault(score.variant, {})[score.dataset.name] = score
    return found


def _mean(scores: Sequence[ScoreRecord]) -> Accuracy:
    count = len(scores)
    mean = math.fsum(one.score for one in scores) / count
    below = math.hypot(*(one.score - one.interval.low for one in scores)) / count
    above = math.hypot(*(one.interval.high - one.score for one in scores)) / count
    return Accuracy(mean=mean, low=mean - below, high=mean + above)
