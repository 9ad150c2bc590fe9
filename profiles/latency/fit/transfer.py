"""From one device to another with a few points: an estimator's stages are stretched, shifted, or fitted anew, whichever
predicts left-out points best."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from scipy.optimize import nnls

from profiles.errors import MeasurementError
from profiles.latency.fit.estimator import Subject, add_up, domain, split_by_stage
from profiles.latency.fit.held_out import coverage, interleaved, mape, upper_ratio
from profiles.latency.fit.observations import Observation
from profiles.latency.fit.regression import Array, fit_terms, predict
from runtime.documents.latency.estimator_document import HeldOut, LatencyEstimator, Range, StageModel, Term
from runtime.latency.terms import CALL

FIXED = f"{CALL}call"
Coefficients = Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class StageTransfer:
    """How a stage was carried over: `way` is a key of WAYS; errors are mean absolute shares on points left out."""

    stage: str
    way: str
    before: float
    after: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Transfer:
    """The estimator of the new device, each stage's way, and the end-to-end error before and after (points left
    out).
    """

    estimator: LatencyEstimator
    stages: tuple[StageTransfer, ...]
    before: float
    after: float


def scaled(old: Coefficients, observations: Sequence[Observation]) -> dict[str, float]:
    """Everything takes the same factor longer: the median ratio."""
    measured = np.array([one.ms for one in observations])
    factor = float(np.median(measured / np.maximum(predict(old, observations), 1e-12)))
    return {name: factor * ms for name, ms in old.items()}


def affine(old: Coefficients, observations: Sequence[Observation]) -> dict[str, float]:
    """A factor and a fixed cost a call, neither negative, by least squares on relative errors."""
    measured = np.array([one.ms for one in observations])
    base = predict(old, observations)
    factor, shift = _non_negative(base / measured, 1.0 / measured)
    found = {name: factor * ms for name, ms in old.items()}
    return found | {FIXED: found.get(FIXED, 0.0) + shift}


def refitted(old: Coefficients, observations: Sequence[Observation]) -> dict[str, float]:
    """Fitted anew: the old coefficients do not count."""
    return fit_terms(observations)


WAYS: Mapping[str, Callable[[Coefficients, Sequence[Observation]], dict[str, float]]] = {
    "scaled": scaled,
    "affine": affine,
    "refitted": refitted,
}


def _non_negative(first: Array, second: Array) -> tuple[float, float]:
    found, _ = nnls(np.stack([first, second], axis=1), np.ones(len(first)))
    return float(found[0]), float(found[1])


def transfer(old: LatencyEstimator, observations: Sequence[Observation], subject: Subject, *, level: float) -> Transfer:
    """`old` recalibrated to the device that `observations` were taken on.

    For each stage every way is fitted to four fifths of the points and judged by the rest, in turn. Raises
    MeasurementError for a stage that `old` does not have, and for too few points.
    """
    by_stage = split_by_stage(observations)
    known = {model.stage: {term.name: term.ms for term in model.terms} for model in old.stages}
    strange = [stage for stage in by_stage if stage not in known]
    if strange:
        raise MeasurementError(f"stage {strange[0]} was measured, but the estimator to be recalibrated has none")
    chosen = {stage: _choose(known[stage], found) for stage, found in by_stage.items()}
    models = tuple(_model(stage, chosen[stage], known[stage], found, level) for stage, found in by_stage.items())
    totals = {
        "before": add_up(by_stage, {stage: predict(known[stage], found) for stage, found in by_stage.items()}),
        "after": add_up(by_stage, {stage: one.unseen for stage, one in chosen.items()}),
    }
    errors = {name: mape(one.measured, one.predicted) if one.requests else 0.0 for name, one in totals.items()}
    after = totals["after"]
    bound = upper_ratio(after.measured, after.predicted, level) if after.requests else 1.0
    estimator = msgspec.structs.replace(
        old,
        device=subject.device,
        engine=subject.engine,
        dtype=subject.dtype,
        level=level,
        bound=bound,
        stages=models,
        held_out=(),
        domain=_widened(old, observations),
        sources=(*old.sources, *subject.sources),
    )
    stages = tuple(
        StageTransfer(stage=stage, way=one.way, before=one.before, after=one.after) for stage, one in chosen.items()
    )
    return Transfer(estimator=estimator, stages=stages, **errors)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Choice:
    way: str
    before: float
    after: float
    unseen: Array


def _choose(old: Coefficients, observations: Sequence[Observation]) -> _Choice:
    measured = np.array([one.ms for one in observations])
    unseen = {way: _out_of_fold(function, old, observations) for way, function in WAYS.items()}
    best = min(unseen, key=lambda way: mape(measured, unseen[way]))
    return _Choice(
        way=best,
        before=mape(measured, predict(old, observations)),
        after=mape(measured, unseen[best]),
        unseen=unseen[best],
    )


def _out_of_fold(
    function: Callable[[Coefficients, Sequence[Observation]], dict[str, float]],
    old: Coefficients,
    observations: Sequence[Observation],
) -> Array:
    groups = np.array(interleaved(len(observations)))
    found = np.zeros(len(observations))
    for group in sorted(set(groups)):
        outside = [one for one, other in zip(observations, groups, strict=True) if other != group]
        inside = [int(place) for place in np.flatnonzero(groups == group)]
        found[inside] = predict(function(old, outside), [observations[i] for i in inside])
    return found


def _model(
    stage: str, choice: _Choice, old: Coefficients, observations: Sequence[Observation], level: float
) -> StageModel:
    measured = np.array([one.ms for one in observations])
    terms = WAYS[choice.way](old, observations)
    groups = interleaved(len(measured))
    held_out = HeldOut(
        by="points",
        groups=len(set(groups)),
        points=len(measured),
        mape=choice.after,
        coverage=coverage(measured, choice.unseen, groups, level),
    )
    return StageModel(
        stage=stage,
        points=len(measured),
        bound=upper_ratio(measured, choice.unseen, level),
        terms=tuple(Term(name=name, ms=ms) for name, ms in terms.items() if ms > 0),
        held_out=(held_out,),
    )


def _widened(old: LatencyEstimator, observations: Sequence[Observation]) -> tuple[Range, ...]:
    """The domain of both: what the old points and the new ones span together."""
    new = {one.name: one for one in domain(observations)}
    return tuple(
        msgspec.structs.replace(one, low=min(one.low, new[one.name].low), high=max(one.high, new[one.name].high))
        if one.name in new
        else one
        for one in old.domain
    )
