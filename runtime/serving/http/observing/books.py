"""Where an answer or a refusal is written down: metrics, recent decisions, and the log."""

import logging
from dataclasses import dataclass

from runtime.selection.choice import Choice
from runtime.serving.answer import Answer
from runtime.serving.http.observing.metrics import Metrics
from runtime.serving.http.observing.recent import RecentDecisions
from runtime.serving.request import Request

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Books:
    """All of them."""

    metrics: Metrics
    recent: RecentDecisions

    def answered(self, request: Request, choice: Choice, answer: Answer) -> None:
        """An answer was finished."""
        self.metrics.answered(request, choice, answer)
        fields = {
            "variant": answer.variant,
            "dtype": answer.dtype,
            "task": request.wish.task,
            "budget_ms": request.wish.budget_ms,
            "predicted_ms": answer.predicted_ms,
            "upper_ms": answer.upper_ms,
            "actual_ms": round(answer.timing.total_ms, 3),
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": len(answer.tokens),
        }
        self.recent.add(answer.reason, **fields)
        _log.debug("answered", extra={"fields": fields})

    def refused(self, request: Request | None, reason: str) -> None:
        """A request ended without an answer; None where it could not be read."""
        self.metrics.refused(reason)
        wish = None if request is None else request.wish
        fields = {} if wish is None else {"variant": wish.variant, "task": wish.task, "budget_ms": wish.budget_ms}
        self.recent.add(reason, **fields)
        _log.debug("refused", extra={"fields": {"reason": reason, **fields}})
