"""Sends a load to a family, open loop: each request at its moment, whatever became of those before."""

import asyncio
import dataclasses
import gc
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from profiles.benchmarks.serving.mix import Arrival
from profiles.benchmarks.serving.outcome import ANSWERED, REFUSED, SHED, UNFINISHED, Outcome
from profiles.benchmarks.serving.questions import LoadQuestion
from runtime.errors import DeadlineError, OverloadedError
from runtime.selection.choice import NoFeasibleVariantError
from runtime.serving.answer import Answer
from runtime.serving.family import FamilyState
from runtime.serving.request import Request

Accuracy = Callable[[str, str, str | None], float | None]
"""What the baseline says of a variant in a type of weights on a task."""


class Answering(Protocol):
    """What a load needs of a family (runtime/serving/family.py)."""

    @property
    def state(self) -> FamilyState:
        """See Family."""

    async def generate_async(self, request: Request) -> Answer:
        """See Family."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """How requests are put to a family: all to `fixed`, or to the variant that it chooses (None); with their budgets,
    so that it refuses and sheds, or without."""

    name: str
    fixed: str | None = None
    budgets: bool = True

    def request(self, question: LoadQuestion, budget_ms: float) -> Request:
        """The request that is put."""
        budget = budget_ms if self.budgets else None
        wish = dataclasses.replace(question.request.wish, budget_ms=budget, variant=self.fixed)
        return dataclasses.replace(question.request, wish=wish)


def drive(
    family: Answering,
    arrivals: Sequence[Arrival],
    questions: Sequence[LoadQuestion],
    policy: Policy,
    accuracy: Accuracy,
) -> tuple[Outcome, ...]:
    """What became of each arrival. What is not over when the last budget is cannot be in time any more: it is
    cancelled, and unfinished."""
    gc.collect()
    gc.freeze()  # the questions are many objects, and looking through them would hold up what is measured
    try:
        return asyncio.run(_drive(_Load(family, questions, policy, accuracy), arrivals))
    finally:
        gc.unfreeze()


async def _drive(load: "_Load", arrivals: Sequence[Arrival]) -> tuple[Outcome, ...]:
    began = time.monotonic() + 0.1
    tasks = [asyncio.ensure_future(load.one(arrival, began)) for arrival in arrivals]
    last_s = max((one.at_s + one.budget_ms / 1e3 for one in arrivals), default=0.0)
    await asyncio.wait(tasks, timeout=began + last_s - time.monotonic())
    for task in tasks:
        task.cancel()
    found = await asyncio.gather(*tasks)
    await load.settled()
    return tuple(found)


class _Load:
    """One load on one family."""

    def __init__(
        self, family: Answering, questions: Sequence[LoadQuestion], policy: Policy, accuracy: Accuracy
    ) -> None:
        self._family, self._questions, self._policy, self._accuracy = family, questions, policy, accuracy

    async def settled(self) -> None:
        """Return when the last request is out of the engine."""
        while (state := self._family.state).waiting or sum(state.running.values()):
            await asyncio.sleep(0.01)

    async def one(self, arrival: Arrival, began: float) -> Outcome:
        """Send one request at its moment."""
        question = self._questions[arrival.question]
        due = began + arrival.at_s
        try:
            await asyncio.sleep(due - time.monotonic())
            answer = await self._family.generate_async(self._policy.request(question, arrival.budget_ms))
        except asyncio.CancelledError:
            return Outcome(arrival=arrival, kind=UNFINISHED)
        except DeadlineError:
            return Outcome(arrival=arrival, kind=SHED)
        except (NoFeasibleVariantError, OverloadedError):
            return Outcome(arrival=arrival, kind=REFUSED)
        return Outcome(
            arrival=arrival,
            kind=ANSWERED,
            took_ms=1e3 * (time.monotonic() - due),
            variant=answer.variant,
            upper_ms=answer.upper_ms,
            accuracy=self._accuracy(answer.variant, answer.dtype, question.request.wish.task),
            score=question.score(answer.text),
        )
