"""From observations to an estimator's document: a fit a stage, its held-out errors, its bounds, and its domain."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from profiles.errors import MeasurementError
from profiles.latency.fit.held_out import (
    BATCH,
    LENGTH,
    VARIANT,
    coverage,
    group_by,
    interleaved,
    mape,
    out_of_fold,
    upper_ratio,
)
from profiles.latency.fit.observations import Observation
from profiles.latency.fit.regression import Array, fit_terms
from runtime.documents.latency import estimator_document as document
from runtime.documents.latency.estimator_document import HeldOut, LatencyEstimator, Range, StageModel, Term
from runtime.engines.stages import DECODE, IMAGE, STAGES, VISION
from runtime.latency.workload import Workload

LEAST_POINTS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What the observations are of: one engine with one type of weights on one device; `sources` names the files."""

    device: str
    engine: str
    dtype: str
    experts: int | None
    sources: tuple[str, ...]


def fit_estimator(observations: Sequence[Observation], subject: Subject, *, level: float) -> LatencyEstimator:
    """The estimator of all stages that were observed. `level` is that of the upper bounds, between 0 and 1.

    Raises MeasurementError for a stage with fewer than `LEAST_POINTS` observations, or none at all.
    """
    by_stage = split_by_stage(observations)
    unseen: dict[str, dict[str, Array]] = {stage: _unseen(found) for stage, found in by_stage.items()}
    stages = tuple(_stage(stage, found, unseen[stage], level) for stage, found in by_stage.items())
    bound, held_out = _end_to_end(by_stage, unseen, level)
    return LatencyEstimator(
        trimoe=version("trimoe"),
        device=subject.device,
        engine=subject.engine,
        dtype=subject.dtype,
        experts=subject.experts,
        level=level,
        bound=bound,
        stages=stages,
        held_out=held_out,
        domain=domain(observations),
        sources=subject.sources,
    )


def split_by_stage(observations: Sequence[Observation]) -> dict[str, tuple[Observation, ...]]:
    """The observations of each stage, stages in the order in which they run. Raises MeasurementError for too few."""
    found = {stage: tuple(one for one in observations if one.stage == stage) for stage in STAGES}
    found = {stage: ones for stage, ones in found.items() if ones}
    if not found:
        raise MeasurementError("nothing was measured that an estimator could be fitted to")
    for stage, ones in found.items():
        if len(ones) < LEAST_POINTS:
            raise MeasurementError(f"stage {stage}: {len(ones)} measurements, at least {LEAST_POINTS} are needed")
    return found


def _unseen(observations: Sequence[Observation]) -> dict[str, Array]:
    """Each observation as predicted by fits that did not see its group, by what was left out."""
    found = {by: out_of_fold(observations, group_by(by, observations)) for by in (VARIANT, LENGTH, BATCH)}
    known = {by: values for by, values in found.items() if values is not None}
    if VARIANT not in known:
        values = out_of_fold(observations, interleaved(len(observations)))
        assert values is not None  # at least LEAST_POINTS observations
        known["points"] = values
    return known


def _calibration(unseen: Mapping[str, Array]) -> str:
    """The way of leaving out that bounds are calibrated by."""
    return VARIANT if VARIANT in unseen else "points"


def _groups(by: str, observations: Sequence[Observation]) -> list[Hashable]:
    return interleaved(len(observations)) if by == "points" else group_by(by, observations)


def _stage(stage: str, observations: Sequence[Observation], unseen: Mapping[str, Array], level: float) -> StageModel:
    measured = np.array([one.ms for one in observations])
    terms = tuple(Term(name=name, ms=ms) for name, ms in fit_terms(observations).items() if ms > 0)
    held_out = tuple(
        _held_out(by, measured, predicted, _groups(by, observations), level) for by, predicted in unseen.items()
    )
    bound = upper_ratio(measured, unseen[_calibration(unseen)], level)
    return StageModel(stage=stage, points=len(observations), bound=bound, terms=terms, held_out=held_out)


def _held_out(by: str, measured: Array, predicted: Array, groups: Sequence[Hashable], level: float) -> HeldOut:
    return HeldOut(
        by=by,
        groups=len(set(groups)),
        points=len(measured),
        mape=mape(measured, predicted),
        coverage=coverage(measured, predicted, groups, level),
    )


def _end_to_end(
    by_stage: Mapping[str, Sequence[Observation]], unseen: Mapping[str, Mapping[str, Array]], level: float
) -> tuple[float, tuple[HeldOut, ...]]:
    """The bound and the held-out errors of whole answers: stages added up for each request that has them all."""
    ways = set.intersection(*(set(found) for found in unseen.values()))
    held_out, bound = [], 1.0
    for by in sorted(ways, key=(VARIANT, "points", LENGTH, BATCH).index):
        totals = add_up(by_stage, {stage: found[by] for stage, found in unseen.items()})
        if not totals.requests:
            continue
        groups: list[Hashable] = _groups(by, totals.requests)
        if len(set(groups)) > 1:
            held_out.append(_held_out(by, totals.measured, totals.predicted, groups, level))
        if by in (VARIANT, "points"):
            bound = upper_ratio(totals.measured, totals.predicted, level)
    return bound, tuple(held_out)


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """Whole answers: one observation of each request, and its milliseconds as measured and as predicted."""

    requests: tuple[Observation, ...]
    measured: Array
    predicted: Array


def add_up(by_stage: Mapping[str, Sequence[Observation]], predicted: Mapping[str, Array]) -> Totals:
    """Stages of the same request added up, decoding times its steps; requests that lack a stage are left out."""
    sums: dict[str, tuple[Observation, dict[str, list[tuple[float, float]]]]] = {}
    for stage, observations in by_stage.items():
        for one, value in zip(observations, predicted[stage], strict=True):
            if one.request:
                _, found = sums.setdefault(one.request, (one, {}))
                found.setdefault(stage, []).append((one.ms, float(value)))
    whole = [(one, found) for one, found in sums.values() if found.keys() >= _stages_of(one.load, by_stage)]
    pairs = np.array([_answer(one.steps, found) for one, found in whole]).reshape(-1, 2)
    return Totals(requests=tuple(one for one, _ in whole), measured=pairs[:, 0], predicted=pairs[:, 1])


def _stages_of(load: Workload, by_stage: Iterable[str]) -> set[str]:
    """Those of the stages that an answer has: no image, no vision."""
    return {stage for stage in by_stage if load.vision_tokens or stage not in (IMAGE, VISION)}


def _answer(steps: int, found: Mapping[str, Sequence[tuple[float, float]]]) -> tuple[float, float]:
    measured = predicted = 0.0
    for stage, values in found.items():
        times = steps if stage == DECODE else 1
        measured += times * sum(one for one, _ in values) / len(values)
        predicted += times * sum(other for _, other in values) / len(values)
    return measured, predicted


def domain(observations: Sequence[Observation]) -> tuple[Range, ...]:
    """The least and the greatest value of each input."""
    ks = [k for one in observations for k, _ in one.layers.counts if k is not None]
    values: dict[str, Iterable[float]] = {
        document.BATCH: [one.load.batch for one in observations],
        document.VISION_TOKENS: [one.load.vision_tokens for one in observations],
        document.PROMPT_TOKENS: [one.load.prompt_tokens for one in observations],
        document.POSITION: [one.position for one in observations if one.stage == DECODE],
        document.DEPTH: [one.layers.depth for one in observations],
        document.TOP_K: ks,
    }
    known = {name: tuple(found) for name, found in values.items()}
    return tuple(Range(name=name, low=min(found), high=max(found)) for name, found in known.items() if found)
