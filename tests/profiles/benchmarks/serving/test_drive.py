"""Loads on a family that answers from a table: what becomes of each request, and which share is in time."""

import asyncio
from dataclasses import replace

import pytest

from profiles.benchmarks.serving.capacity import alone_ms, capacity_per_s
from profiles.benchmarks.serving.drive import Policy, drive
from profiles.benchmarks.serving.mix import Arrival
from profiles.benchmarks.serving.outcome import ANSWERED, REFUSED, SHED, UNFINISHED, Attainment, attainment
from profiles.benchmarks.serving.questions import LoadQuestion
from runtime.errors import DeadlineError, OverloadedError
from runtime.serving.answer import Answer, Timing
from runtime.serving.family import FamilyState
from runtime.serving.request import Request, Sampling, Wish

SHEDDING = Policy(name="large shedding", fixed="large")
CHOOSING, FIXED = Policy(name="family"), Policy(name="large", fixed="large", budgets=False)
FATES = ("answer", "shed", "refuse", "hang")
QUESTIONS = tuple(LoadQuestion(request=Request(text=fate, sampling=Sampling(max_tokens=3))) for fate in FATES)


class TableFamily:
    """Does what the text says; answers that hang end when they are cancelled."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.state = FamilyState(waiting=0, running={}, loaded_bytes=0, drift={})

    async def generate_async(self, request: Request) -> Answer:
        self.asked.append(request)
        match request.text:
            case "shed":
                raise DeadlineError("too late", retry_after_s=1.0)
            case "refuse":
                raise OverloadedError("full", retry_after_s=1.0)
            case "hang":
                await asyncio.sleep(100)
        return Answer(
            text="7",
            tokens=(7,),
            reason="stop",
            variant=request.wish.variant or "small",
            dtype="float32",
            prompt_tokens=1,
            predicted_ms=1.0,
            upper_ms=2.0,
            best_effort=False,
            timing=Timing(queue_ms=0.0, first_token_ms=1.0, total_ms=1.0, stages={}),
        )


def arrivals(budget_ms: float = 200.0) -> list[Arrival]:
    return [Arrival(at_s=place / 1000, question=place, budget_ms=budget_ms) for place in range(len(FATES))]


def load(family: TableFamily, policy: Policy, budget_ms: float = 200.0) -> Attainment:
    found = drive(family, arrivals(budget_ms), QUESTIONS, policy, lambda variant, dtype, task: 0.5)
    assert [one.kind for one in found] == [ANSWERED, SHED, REFUSED, UNFINISHED]
    return attainment(found, seconds=2.0)


def test_every_request_has_its_fate_and_shares_are_of_accepted_and_of_all() -> None:
    found = load(TableFamily(), CHOOSING)
    assert (found.requests, found.accepted, found.refused) == (4, 3, 1)  # shed or hanging: accepted, and missed
    assert (found.in_time_of_accepted, found.in_time_of_all, found.per_s) == (1 / 3, 0.25, 0.5)
    assert (found.accuracy, found.score) == (0.5, None)
    assert (found.variants, found.kinds[UNFINISHED]) == ({"small": 1}, 1)


def test_an_answer_after_its_budget_is_not_in_time() -> None:
    assert load(TableFamily(), CHOOSING, budget_ms=1e-3).in_time_of_accepted == 0.0


@pytest.mark.parametrize(
    ("policy", "wish"),
    [
        (CHOOSING, Wish(budget_ms=200.0)),
        (FIXED, Wish(variant="large")),
        (SHEDDING, Wish(variant="large", budget_ms=200.0)),
    ],
)
def test_a_policy_pins_the_variant_tells_budgets_or_both(policy: Policy, wish: Wish) -> None:
    family = TableFamily()
    load(family, policy)
    assert {one.wish for one in family.asked} == {wish}


def test_nothing_asked_is_nothing_attained() -> None:
    found = attainment((), seconds=1.0)
    assert (found.requests, found.in_time_of_accepted, found.in_time_of_all, found.score) == (0, None, None, None)


@pytest.mark.parametrize("rows", [1, 4])
def test_capacity_counts_the_answers_of_clients_that_are_always_there(rows: int) -> None:
    family = TableFamily()
    family.generate_async = slowed(family.generate_async)  # type: ignore[method-assign]
    questions = [replace(QUESTIONS[0])]
    assert capacity_per_s(family, questions, FIXED, rows=rows, seconds=0.2) > 0
    assert alone_ms(family, questions, FIXED, count=3) >= 5.0


def slowed(generate):  # type: ignore[no-untyped-def]
    async def later(request: Request) -> Answer:
        await asyncio.sleep(0.005)
        return await generate(request)

    return later
