"""Measured times beside those that an estimator predicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from profiles.reports.latency.answers import add_stages
from profiles.reports.latency.series import Series, load_of
from runtime.latency.estimator import Estimator
from runtime.latency.workload import Workload

ANSWER = "whole answer"  # in place of a stage


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Milliseconds of one stage, or of an ANSWER, of a variant under a load."""

    stage: str
    variant: str
    load: Workload
    position: float | None
    measured_ms: float
    predicted_ms: float

    @property
    def residual(self) -> float:
        """How much longer it took than predicted, as a share of what was predicted."""
        return self.measured_ms / self.predicted_ms - 1.0


def predict_points(series: Series, estimator: Estimator) -> tuple[Pair, ...]:
    """Every point of a stage for which the estimator predicts a time above 0."""
    pairs = []
    for point in series.points:
        if point.stage not in estimator.stages:
            continue
        load, layers = load_of(point), series.layers[point.variant]
        pairs.append(
            Pair(
                stage=point.stage,
                variant=point.variant,
                load=load,
                position=point.position,
                measured_ms=point.median_ms,
                predicted_ms=estimator.stage_ms(point.stage, layers, load, position=point.position or 0.0),
            )
        )
    return tuple(pair for pair in pairs if pair.predicted_ms > 0)


def add_answers(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """The whole answers of each variant and load that the pairs of stages come to, where none is missing."""
    groups: dict[tuple[str, Workload], list[Pair]] = {}
    for pair in pairs:
        groups.setdefault((pair.variant, pair.load), []).append(pair)
    answers = []
    for (variant, load), found in groups.items():
        measured = add_stages((pair.stage, pair.measured_ms) for pair in found)
        predicted = add_stages((pair.stage, pair.predicted_ms) for pair in found)
        if measured is not None and predicted is not None:
            answers.append(
                Pair(
                    stage=ANSWER,
                    variant=variant,
                    load=load,
                    position=None,
                    measured_ms=measured.total_ms,
                    predicted_ms=predicted.total_ms,
                )
            )
    return tuple(answers)


def mean_error(pairs: Sequence[Pair]) -> float:
    """The mean absolute error of the predictions as a share of what was measured."""
    return fmean(abs(pair.predicted_ms / pair.measured_ms - 1.0) for pair in pairs)
