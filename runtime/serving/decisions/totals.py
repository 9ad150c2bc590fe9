"""What a policy comes to over many requests."""

from collections import Counter
from dataclasses import dataclass, field

from runtime.selection.candidate import Candidate
from runtime.selection.demand import Demand
from runtime.serving.answer import LENGTH, STOP
from runtime.serving.decisions.record import CandidateRecord, OutcomeRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """`requests`, of which `refused` (as logged: or shed or failed); of the `budgets` that they had, those in which the
    predicted time and its upper bound fit (a refused one fits none); means over answered ones: milliseconds, their 95th
    percentile, and accuracy where it is known; and how many requests each variant got. None: nothing to take a mean
    of."""

    policy: str
    requests: int
    refused: int
    budgets: int
    in_budget: int
    surely_in_budget: int | None
    floors_missed: int
    mean_ms: float | None
    p95_ms: float | None
    accuracy: float | None
    variants: dict[str, int]


@dataclass(slots=True)
class Tally:
    """Counts one policy's answers; see Totals."""

    policy: str
    requests: int = 0
    refused: int = 0
    budgets: int = 0
    in_budget: int = 0
    surely: int | None = 0
    floors_missed: int = 0
    times: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    variants: Counter[str] = field(default_factory=Counter)

    def refuse(self, demand: Demand) -> None:
        """A request got no answer."""
        self.requests += 1
        self.refused += 1
        self.budgets += demand.budget_ms is not None

    def answer(self, one: Candidate, demand: Demand) -> None:
        """A request would be answered by this candidate."""
        self._count(one, demand)
        if demand.budget_ms is not None and self.surely is not None:
            self.surely += demand.keeps_budget(one)
        if one.predicted_ms is not None:
            self._time(one.predicted_ms, demand)

    def happened(self, one: CandidateRecord, demand: Demand, outcome: OutcomeRecord | None) -> None:
        """A request was given to this candidate: without an outcome it got no answer; the time of one without an end of
        its own says nothing."""
        self.surely = None
        if outcome is None:
            self.refuse(demand)
            return
        self._count(one, demand)
        if outcome.reason in (STOP, LENGTH):
            self._time(outcome.total_ms, demand)

    def totals(self) -> Totals:
        """The sums so far."""
        times = sorted(self.times)
        return Totals(
            policy=self.policy,
            requests=self.requests,
            refused=self.refused,
            budgets=self.budgets,
            in_budget=self.in_budget,
            surely_in_budget=self.surely,
            floors_missed=self.floors_missed,
            mean_ms=sum(times) / len(times) if times else None,
            p95_ms=times[min(int(0.95 * len(times)), len(times) - 1)] if times else None,
            accuracy=sum(self.scores) / len(self.scores) if self.scores else None,
            variants=dict(self.variants.most_common()),
        )

    def _count(self, one: Candidate | CandidateRecord, demand: Demand) -> None:
        score, low = _accuracy(one)
        self.requests += 1
        self.budgets += demand.budget_ms is not None
        self.floors_missed += demand.min_accuracy is not None and (low is None or low < demand.min_accuracy)
        self.variants[f"{one.variant}/{one.dtype}"] += 1
        if score is not None:
            self.scores.append(score)

    def _time(self, ms: float, demand: Demand) -> None:
        self.times.append(ms)
        self.in_budget += demand.budget_ms is not None and ms <= demand.budget_ms


def _accuracy(one: Candidate | CandidateRecord) -> tuple[float | None, float | None]:
    if isinstance(one, CandidateRecord):
        return one.score, one.low
    return (None, None) if one.accuracy is None else (one.accuracy.score, one.accuracy.low)
