"""Writes requests into the decision log as they end."""

from dataclasses import dataclass

from runtime.selection.choice import Choice
from runtime.serving.answer import Answer
from runtime.serving.decisions.log import DecisionLog
from runtime.serving.decisions.make_record import (
    ahead_record,
    candidate_records,
    outcome_record,
    wish_record,
    work_record,
)
from runtime.serving.decisions.record import Decision, OutcomeRecord
from runtime.serving.forecasting.chooser import Plan
from runtime.serving.request import Request


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A request on its way: its `id`, its arrival in seconds since 1970, and what was decided (None: refused)."""

    id: str
    time: float
    request: Request
    plan: Plan
    choice: Choice | None = None


class Journal:
    """A decision log; texts of prompts are written with `prompts` only."""

    def __init__(self, log: DecisionLog, *, prompts: bool = False) -> None:
        """`log` is closed with the journal."""
        self._log, self._prompts, self._closed = log, prompts, False

    @property
    def lost(self) -> int:
        """Lines that could not be written."""
        return self._log.lost

    def refused(self, entry: Entry, error: Exception) -> None:
        """The request got no answer."""
        self._write(entry, refused=str(error), outcome=None)

    def failed(self, entry: Entry) -> None:
        """The answer broke off."""
        self._write(entry, refused=None, outcome=None)

    def answered(self, entry: Entry, answer: Answer) -> None:
        """The answer is over."""
        self._write(entry, refused=None, outcome=outcome_record(answer.reason, len(answer.tokens), answer.timing))

    def close(self) -> None:
        """Close the log, once."""
        if not self._closed:
            self._closed = True
            self._log.close()

    def _write(self, entry: Entry, *, refused: str | None, outcome: OutcomeRecord | None) -> None:
        plan, candidates = entry.plan, entry.plan.forecast.candidates
        chosen = None if entry.choice is None or refused is not None else entry.choice.candidate
        place = next((place for place, one in enumerate(candidates) if one is chosen), None)
        self._log.write(
            Decision(
                time=round(entry.time, 3),
                request=entry.id,
                wish=wish_record(entry.request.wish),
                work=work_record(plan.forecast.work, cap=plan.cap),
                ahead={dtype: ahead_record(one) for dtype, one in plan.ahead.items()},
                candidates=candidate_records(candidates, chosen, plan.demand),
                chosen=place,
                best_effort=entry.choice is not None and entry.choice.best_effort,
                refused=refused,
                outcome=outcome,
                stop_texts=len(entry.request.sampling.stop),
                prompt=entry.request.text if self._prompts else None,
            )
        )
