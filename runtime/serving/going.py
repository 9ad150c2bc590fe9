"""One request on its way through a scheduler: it hears of pieces and of the end, and passes them on."""

import dataclasses
from collections.abc import Callable

from runtime.engines.stages import IMAGE
from runtime.selection.choice import Choice
from runtime.serving.answer import Answer, Piece, Timing
from runtime.serving.batching.listener import Finish
from runtime.serving.batching.scheduler import Ticket
from runtime.serving.forecasting.chooser import Plan
from runtime.serving.stream import Sink


class GoingRequest:
    """See Listener (runtime/serving/batching/listener.py) and Going (runtime/serving/stream.py)."""

    def __init__(self, sink: Sink, plan: Plan, choice: Choice, *, prompt_tokens: int, image: bool) -> None:
        """`image`: there was one, and the time before the choice was spent on it."""
        self._sink, self.plan, self.choice = sink, plan, choice
        self._prompt_tokens, self._image = prompt_tokens, image
        self._ticket: Ticket | None = None
        self.ended: Callable[[Finish | None, Answer | None], None] = lambda finish, answer: None

    def submitted(self, ticket: Ticket) -> None:
        """A scheduler has taken it."""
        self._ticket = ticket

    def cancel(self) -> None:
        """See Going."""
        if self._ticket is not None:
            self._ticket.cancel()

    def piece(self, piece: Piece) -> None:
        """See Listener."""
        self._sink(piece)

    def finished(self, finish: Finish) -> None:
        """See Listener; the sink is told first."""
        answer = self._answer(finish)
        self._sink(answer)
        self.ended(finish, answer)

    def failed(self, error: Exception) -> None:
        """See Listener."""
        self._sink(error)
        self.ended(None, None)

    def _answer(self, finish: Finish) -> Answer:
        chosen = self.choice.candidate
        return Answer(
            text=finish.text,
            tokens=finish.tokens,
            reason=finish.reason,
            variant=chosen.variant,
            dtype=chosen.dtype,
            prompt_tokens=self._prompt_tokens,
            predicted_ms=chosen.predicted_ms,
            upper_ms=chosen.upper_ms,
            best_effort=self.choice.best_effort,
            timing=self._since_arrival(finish.timing),
            log_probabilities=finish.log_probabilities,
            reused_tokens=finish.reused_tokens,
        )

    def _since_arrival(self, timing: Timing) -> Timing:
        """With the time that was spent before the scheduler."""
        spent = self.plan.forecast.work.spent_ms
        return dataclasses.replace(
            timing,
            first_token_ms=timing.first_token_ms + spent,
            total_ms=timing.total_ms + spent,
            stages={IMAGE: spent, **timing.stages} if self._image else timing.stages,
        )
