"""What became of the requests of a load, and what share of them came in time."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from profiles.benchmarks.serving.mix import Arrival

ANSWERED, REFUSED, SHED, UNFINISHED = "answered", "refused", "shed", "unfinished"
"""Answered, in time or not; refused at once, because nothing keeps its budget or too many wait; shed in the queue, for
its deadline; not over when the load was."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of a request. `took_ms` counts from the moment at which it was to arrive; `accuracy` is the
    baseline's for its variant and task, `score` what its own answer is worth; None where that is not known."""

    arrival: Arrival
    kind: str
    took_ms: float | None = None
    variant: str | None = None
    upper_ms: float | None = None
    accuracy: float | None = None
    score: float | None = None

    @property
    def in_time(self) -> bool:
        """Whether the whole answer came within its budget."""
        return self.took_ms is not None and self.took_ms <= self.arrival.budget_ms


@dataclass(frozen=True, kw_only=True, slots=True)
class Attainment:
    """Of `requests`, `refused` were so at once, all others `accepted`: what was shed in the queue, or is unfinished,
    was accepted and missed. `in_time` are shares, None of nothing. `per_s` are answers in time a second; `accuracy` and
    `score` are means over all answers."""

    requests: int
    accepted: int
    refused: int
    in_time_of_accepted: float | None
    in_time_of_all: float | None
    per_s: float
    accuracy: float | None
    score: float | None
    kinds: Mapping[str, int]
    variants: Mapping[str, int]


def attainment(outcomes: Sequence[Outcome], *, seconds: float) -> Attainment:
    """The shares over a load of so many seconds."""
    answers = [one for one in outcomes if one.kind == ANSWERED]
    refused = sum(one.kind == REFUSED for one in outcomes)
    accepted = len(outcomes) - refused
    kept = sum(one.in_time for one in outcomes)
    return Attainment(
        requests=len(outcomes),
        accepted=accepted,
        refused=refused,
        in_time_of_accepted=kept / accepted if accepted else None,
        in_time_of_all=kept / len(outcomes) if outcomes else None,
        per_s=kept / seconds,
        accuracy=_mean([one.accuracy for one in answers]),
        score=_mean([one.score for one in answers]),
        kinds=dict(Counter(one.kind for one in outcomes)),
        variants=dict(Counter(one.variant for one in answers if one.variant is not None).most_common()),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None
