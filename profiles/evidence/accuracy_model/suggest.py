"""Which settings a family should have next: those expected to raise its best score at some latency by the most."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from runtime.accuracy.frontier import CostMs, frontier
from runtime.accuracy.predictor import Estimate, Predictor
from runtime.documents.accuracy.accuracy_model import Setting
from runtime.documents.manifest import Manifest
from runtime.serving.elastic import allowed_settings

SEARCHED = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Suggestion:
    """A setting that the family has not, its predicted milliseconds and mean score over tasks, the best score that the
    family is predicted to have in that time (None: it has nothing as fast), and the gain over it that is expected."""

    setting: Setting
    ms: float
    score: float
    low: float
    best: float | None
    gain: float


def suggest(
    manifest: Manifest, predictor: Predictor, cost_ms: CostMs, *, budget_ms: float | None, most: int
) -> tuple[Suggestion, ...]:
    """At most `most` settings, the highest expected gain first: expected improvement (Mockus, 1978) over the best
    variant within `budget_ms`, or without a budget over the best that is no slower than the setting itself."""

    def scores(settings: Sequence[Setting]) -> list[float]:
        return [one.score for one in _means(predictor, settings)]

    own = [Setting(layers=one.layers, top_k=one.top_k or ()) for one in manifest.variants]
    known = list(zip(own, (cost_ms(one) for one in own), scores(own), strict=True))
    points = frontier(allowed_settings(manifest, predictor), scores, cost_ms, most=SEARCHED)
    new = [one for one in points if one.setting not in own and (budget_ms is None or one.ms <= budget_ms)]
    estimates = _means(predictor, [one.setting for one in new])
    found = []
    for point, estimate in zip(new, estimates, strict=True):
        within = point.ms if budget_ms is None else budget_ms
        best = max((score for _, ms, score in known if ms <= within), default=None)
        found.append(
            Suggestion(
                setting=point.setting,
                ms=point.ms,
                score=estimate.score,
                low=estimate.low,
                best=best,
                gain=_expected_gain(estimate, 0.0 if best is None else best, predictor.model.level),
            )
        )
    return tuple(sorted(found, key=lambda one: -one.gain)[:most])


def _means(predictor: Predictor, settings: Sequence[Setting]) -> list[Estimate]:
    """The mean over tasks; their errors count as independent."""
    if not settings:
        return []
    tasks = [predictor.predict(settings, task) for task in predictor.tasks]
    means = []
    for each in zip(*tasks, strict=True):
        score = float(np.mean([one.score for one in each]))
        below, above = (
            float(np.hypot.reduce([getattr(one, end) - one.score for one in each])) / len(each)
            for end in ("low", "high")
        )
        means.append(Estimate(score=score, low=score - below, high=score + above))
    return means


def _expected_gain(estimate: Estimate, best: float, level: float) -> float:
    """Of a normal score with that interval."""
    deviation = max((estimate.high - estimate.low) / (2 * float(stats.norm.ppf((1 + level) / 2))), 1e-9)
    z = (estimate.score - best) / deviation
    return float((estimate.score - best) * stats.norm.cdf(z) + deviation * stats.norm.pdf(z))
