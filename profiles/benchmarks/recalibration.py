"""How well an estimator predicts another device, or other conditions, before and after a few cells of it are known."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from profiles.benchmarks.estimators import Array, answer_error
from profiles.latency.fit.estimator import fit_estimator
from profiles.latency.fit.observations import Observation
from profiles.latency.fit.sources import Measured
from profiles.latency.fit.transfer import transfer
from runtime.documents.latency.estimator_document import LatencyEstimator
from runtime.latency.estimator import Estimator

LEVEL = 0.9


@dataclass(frozen=True, kw_only=True, slots=True)
class Recalibrated:
    """Mean absolute errors of whole answers, as shares, on cells that the recalibration had not seen."""

    before: float
    after: float


def recalibrate(old: Measured, new: Measured, *, cells: int, repeats: int) -> tuple[Recalibrated, ...]:
    """Fit to all of `old`, carry over with so many cells of `new`, drawn at random, and predict its other cells.

    Raises MeasurementError where the cells drawn have too few points of a stage, and ValueError for too few cells.
    """
    estimator = fit_estimator(old.observations, old.subject, level=LEVEL)
    names = list(dict.fromkeys(one.request for one in new.observations))
    if len(names) <= cells:
        raise ValueError(f"{cells} cells leave none of {len(names)} to predict")
    found = []
    for repeat in range(repeats):
        drawn = set(random.Random(repeat).sample(names, cells))
        seen = [one for one in new.observations if one.request in drawn]
        unseen = [one for one in new.observations if one.request not in drawn]
        moved = transfer(estimator, seen, new.subject, level=LEVEL).estimator
        errors = [answer_error(unseen, _predict(document, unseen)) for document in (estimator, moved)]
        found.append(Recalibrated(before=errors[0], after=errors[1]))
    return tuple(found)


def _predict(document: LatencyEstimator, observations: Sequence[Observation]) -> Array:
    estimator = Estimator(document)
    values = [estimator.stage_ms(one.stage, one.layers, one.load, position=one.position) for one in observations]
    return np.array(values)
