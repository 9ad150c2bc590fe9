"""Prometheus metrics of one server, in a registry of its own."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

from runtime.selection.choice import Choice
from runtime.serving.answer import Answer
from runtime.serving.http.observing.family_collector import FamilyCollector
from runtime.serving.http.served import ServedState
from runtime.serving.request import Request

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_RATIOS = (0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.4, 1.7, 2.0, 3.0, 5.0)


class Metrics:
    """Counts what happens; `text` is what /metrics gives."""

    def __init__(self, state: Callable[[], ServedState], in_progress: Callable[[], int]) -> None:
        self._registry = registry = CollectorRegistry()
        self._http = Counter(
            "trimoe_http_requests",
            "HTTP requests by route and status.",
            ["route", "method", "status"],
            registry=registry,
        )
        self._choices = Counter(
            "trimoe_choices", "Choices by variant.", ["variant", "dtype", "best_effort"], registry=registry
        )
        self._refusals = Counter("trimoe_refusals", "Requests without an answer.", ["reason"], registry=registry)
        self._tokens = Counter(
            "trimoe_tokens",
            "Tokens of prompts (`reused`: not read again) and of answers.",
            ["variant", "kind"],
            registry=registry,
        )
        self._budgets = Counter("trimoe_budgets", "Answers that had a budget.", ["variant", "kept"], registry=registry)
        self._swaps = Counter("trimoe_family_swaps", "Changes of the family.", ["outcome"], registry=registry)
        self._seconds = Histogram(
            "trimoe_answer_seconds",
            "Time of answers from arrival.",
            ["variant", "dtype"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._stages = Histogram(
            "trimoe_stage_seconds", "Time by stage.", ["variant", "stage"], buckets=_SECONDS, registry=registry
        )
        self._ratios = Histogram(
            "trimoe_actual_over_predicted", "Actual by predicted time.", ["variant"], buckets=_RATIOS, registry=registry
        )
        self._bounds = Counter(
            "trimoe_upper_bounds", "Answers that had an upper bound.", ["variant", "kept"], registry=registry
        )
        progress = Gauge(
            "trimoe_requests_in_progress", "Answers in progress, waiting ones included.", registry=registry
        )
        progress.set_function(in_progress)
        registry.register(FamilyCollector(state))

    def answered(self, request: Request, choice: Choice, answer: Answer) -> None:
        """An answer was finished."""
        variant, timing = answer.variant, answer.timing
        self._choices.labels(variant, answer.dtype, str(choice.best_effort).lower()).inc()
        self._tokens.labels(variant, "prompt").inc(answer.prompt_tokens)
        self._tokens.labels(variant, "reused").inc(answer.reused_tokens)
        self._tokens.labels(variant, "completion").inc(len(answer.tokens))
        self._seconds.labels(variant, answer.dtype).observe(timing.total_ms / 1000)
        stages = {**timing.stages, "queue": timing.queue_ms, "first_token": timing.first_token_ms}
        for stage, ms in stages.items():
            self._stages.labels(variant, stage).observe(ms / 1000)
        if answer.predicted_ms:
            self._ratios.labels(variant).observe(timing.total_ms / answer.predicted_ms)
        for counter, limit in ((self._bounds, answer.upper_ms), (self._budgets, request.wish.budget_ms)):
            if limit is not None:
                counter.labels(variant, "yes" if timing.total_ms <= limit else "no").inc()

    def refused(self, reason: str) -> None:
        """A request ended without an answer."""
        self._refusals.labels(reason).inc()

    def responded(self, route: str, method: str, status: int) -> None:
        """A response was sent."""
        self._http.labels(route, method, str(status)).inc()

    def swapped(self, outcome: str) -> None:
        """The family was changed, or was not."""
        self._swaps.labels(outcome).inc()

    @property
    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)
