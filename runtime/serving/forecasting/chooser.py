"""Chooses for requests as they come, and learns from their outcomes; for several threads."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from runtime.engines.protocol import Prompt
from runtime.selection.choice import Choice, NoFeasibleVariantError
from runtime.selection.choose import choose
from runtime.selection.demand import Demand
from runtime.serving.answer import CANCELLED, LENGTH
from runtime.serving.batching.listener import Finish
from runtime.serving.forecasting.drift import Drift
from runtime.serving.forecasting.forecast import Forecast, Forecaster
from runtime.serving.forecasting.lengths import Lengths
from runtime.serving.forecasting.work import Ahead, Work
from runtime.serving.request import Request, Wish


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is known of a request when it is decided: at most `cap` tokens, what is `ahead` of it by type of weights,
    and the forecast of its candidates. `assumed`: neither the request nor answers to its task say how long it gets, so
    that it counts with all tokens of the cap."""

    cap: int
    ahead: Mapping[str, Ahead]
    forecast: Forecast
    demand: Demand
    assumed: bool = False


class Chooser:
    """Forecasts and choices of one family."""

    def __init__(self, forecaster: Forecaster, lengths: Lengths, *, default_tokens: int) -> None:
        """`default_tokens` is the cap of an answer that asks for none."""
        self._forecaster, self._lengths, self._default_tokens = forecaster, lengths, default_tokens
        self._lock = threading.Lock()

    @property
    def drift(self) -> Mapping[str, Drift]:
        """By type of weights, of those with an estimator."""
        return self._forecaster.drift

    def plan(self, request: Request, prompt: Prompt, ahead: Mapping[str, Ahead], *, spent_ms: float) -> Plan:
        """Forecast a request that was read, `spent_ms` after its arrival. Raises RequestError for an unknown task."""
        task, cap = request.wish.task, request.sampling.max_tokens or self._default_tokens
        with self._lock:
            work = Work.of(prompt, self._lengths.expect(task, cap), spent_ms=spent_ms)
            forecast = self._forecaster.forecast(work, task, ahead)
        assumed = request.sampling.max_tokens is None and work.length.high == cap
        return Plan(cap=cap, ahead=ahead, forecast=forecast, demand=demand_of(request.wish), assumed=assumed)

    def choose(self, plan: Plan) -> Choice:
        """The choice. Raises NoFeasibleVariantError."""
        try:
            return choose(plan.forecast.candidates, plan.demand)
        except NoFeasibleVariantError as error:
            if plan.assumed and plan.demand.budget_ms is not None:
                error.add(f"that is for an answer of {plan.cap} tokens, since max_tokens is not given")
            raise

    def feasible_when_idle(self, request: Request, plan: Plan) -> bool:
        """Whether a variant would be chosen were nothing ahead of the request."""
        with self._lock:
            forecast = self._forecaster.forecast(plan.forecast.work, request.wish.task, {})
        try:
            choose(forecast.candidates, plan.demand)
        except NoFeasibleVariantError:
            return False
        return True

    def answer_ms(self, plan: Plan, choice: Choice) -> float | None:
        """What the answer takes once its turn has come; None where nothing is predicted."""
        return self._forecaster.answer_ms(plan.forecast, choice.candidate)

    def learn(self, request: Request, plan: Plan, choice: Choice, finish: Finish) -> None:
        """Learn from an answer, unless it was cancelled. One that was to end at its client's own texts may have ended
        at one of them, and says nothing of its task's length then."""
        if finish.reason == CANCELLED or not finish.tokens:
            return
        with self._lock:
            if finish.reason == LENGTH or not request.sampling.stop:
                self._lengths.learn(request.wish.task, len(finish.tokens), cut=finish.reason == LENGTH)
            self._forecaster.learn(plan.forecast, choice.candidate, finish)


def demand_of(wish: Wish) -> Demand:
    """What a wish demands of its variant."""
    return Demand(
        budget_ms=wish.budget_ms,
        min_accuracy=wish.min_accuracy,
        variant=wish.variant,
        dtype=wish.dtype,
        best_effort=wish.best_effort,
        elastic=wish.elastic,
    )
