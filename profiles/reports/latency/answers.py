"""Whole answers, added up from their stages: those before the first token once, decoding for each further one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from profiles.latency.fit.profile_points import OUTPUT_TOKENS
from profiles.reports.latency.series import Series, load_of
from runtime.engines.stages import BEFORE_FIRST_TOKEN, DECODE, PREFILL
from runtime.latency.estimator import Estimator
from runtime.latency.workload import Workload


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One answer of `OUTPUT_TOKENS` tokens: milliseconds until the first, and for each further one (the mean over the
    positions that were measured)."""

    first_token_ms: float
    token_ms: float

    @property
    def total_ms(self) -> float:
        """The whole answer."""
        return self.first_token_ms + (OUTPUT_TOKENS - 1) * self.token_ms


def add_stages(times: Iterable[tuple[str, float]]) -> Answer | None:
    """The answer that (stage, milliseconds) come to; None where the prompt or decoding is missing."""
    found: dict[str, list[float]] = {}
    for stage, ms in times:
        found.setdefault(stage, []).append(ms)
    if PREFILL not in found or DECODE not in found:
        return None
    first = sum(fmean(found[stage]) for stage in BEFORE_FIRST_TOKEN if stage in found)
    return Answer(first_token_ms=first, token_ms=fmean(found[DECODE]))


def measured_answers(series: Series, load: Workload) -> Mapping[str, Answer]:
    """The answers under one load by variant, as measured."""
    times: dict[str, list[tuple[str, float]]] = {}
    for point in series.points:
        if load_of(point) == load:
            times.setdefault(point.variant, []).append((point.stage, point.median_ms))
    answers = {variant: add_stages(times[variant]) for variant in series.layers if variant in times}
    return {variant: answer for variant, answer in answers.items() if answer is not None}


def predicted_answers(series: Series, load: Workload, estimator: Estimator) -> Mapping[str, Answer]:
    """The answers under one load by variant, as predicted, also outside what the estimator was fitted on."""
    costs = estimator.request(load, output_tokens=OUTPUT_TOKENS, widen=True)
    found = {variant: costs.predict(layers) for variant, layers in series.layers.items()}
    return {
        variant: Answer(first_token_ms=one.first_token_ms, token_ms=one.decode_ms / (OUTPUT_TOKENS - 1))
        for variant, one in found.items()
    }
