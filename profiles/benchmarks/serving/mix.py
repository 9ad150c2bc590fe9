"""A mix of requests: when each arrives, what it asks, and what time it has; the same for the same seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

BUDGETS = (1.5, 3.0, 6.0, 12.0, 24.0)  # over what the whole model takes alone, for the median question


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """A request that arrives `at_s` after the begin: the place of its question, and its budget."""

    at_s: float
    question: int
    budget_ms: float


def poisson_mix(
    *, seed: int, seconds: float, rate: float, questions: int, budgets_ms: Sequence[float]
) -> tuple[Arrival, ...]:
    """Arrivals at random moments, `rate` a second in the mean, each with one of the questions and one of the budgets,
    all alike likely."""
    rng, at_s, found = random.Random(f"{seed} mix"), 0.0, list[Arrival]()
    while (at_s := at_s + rng.expovariate(rate)) < seconds:
        found.append(Arrival(at_s=at_s, question=rng.randrange(questions), budget_ms=rng.choice(budgets_ms)))
    return tuple(found)


def budgets_of(alone_ms: float) -> tuple[float, ...]:
    """The budgets of a mix where the whole model takes so long for the median question, alone."""
    return tuple(round(share * alone_ms, 1) for share in BUDGETS)
