"""Why candidates were not chosen: kinds, and sentences that are made when somebody reads them."""

from collections.abc import Iterator, Sequence
from typing import overload

from runtime.selection.candidate import Candidate
from runtime.selection.choice import Reason
from runtime.selection.demand import Demand

NOT_PINNED = "not_pinned"  # the request names another variant or type
NOT_EXPORTED = "not_exported"  # the request wants a variant that was exported
UNPREDICTED = "unpredicted"  # there is a budget, and what it would take is not known
OVER_BUDGET = "over_budget"
NO_ACCURACY = "no_accuracy"  # of this task, while there is a floor or the chosen one has one
BELOW_FLOOR = "below_floor"
LESS_ACCURATE = "less_accurate"
NOT_MEASURED = "not_measured"  # as accurate by the evidence, while the chosen one's accuracy was measured
KEEPS_LESS = "keeps_less"  # as accurate as far as is known, but fewer active parameters
SLOWER = "slower"  # as accurate
MORE_MEMORY = "more_memory"  # as accurate and as fast
LATER_NAME = "later_name"  # alike in everything
KINDS = (
    NOT_PINNED,
    NOT_EXPORTED,
    UNPREDICTED,
    OVER_BUDGET,
    NO_ACCURACY,
    BELOW_FLOOR,
    LESS_ACCURATE,
    NOT_MEASURED,
    KEEPS_LESS,
    SLOWER,
    MORE_MEMORY,
    LATER_NAME,
)


class Reasons(Sequence[Reason]):
    """The reasons of all candidates but the one chosen (None: of all), in their order."""

    def __init__(self, candidates: Sequence[Candidate], chosen: Candidate | None, demand: Demand) -> None:
        """Nothing is worked out yet."""
        self._candidates, self._chosen, self._demand = candidates, chosen, demand
        self._found: tuple[Reason, ...] | None = None

    @overload
    def __getitem__(self, place: int) -> Reason: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Reason]: ...

    def __getitem__(self, place: int | slice) -> Reason | Sequence[Reason]:
        """One reason, or several."""
        return self._made()[place]

    def __iter__(self) -> Iterator[Reason]:
        return iter(self._made())

    def __len__(self) -> int:
        return len(self._candidates) - (self._chosen is not None)

    def kinds(self) -> Iterator[tuple[Candidate, str]]:
        """Every other candidate with its kind, without sentences."""
        for one in self._candidates:
            if one is not self._chosen:
                yield one, _kind(one, self._chosen, self._demand)

    def _made(self) -> tuple[Reason, ...]:
        if self._found is None:
            self._found = tuple(
                Reason(candidate=one, kind=kind, text=_text(kind, one, self._chosen, self._demand))
                for one, kind in self.kinds()
            )
        return self._found


def _kind(one: Candidate, chosen: Candidate | None, demand: Demand) -> str:
    """Demand that it does not keep come first, then what the chosen one has over it."""
    if not demand.asks_for(one):
        return NOT_EXPORTED if one.elastic and not demand.elastic else NOT_PINNED
    if not demand.keeps_budget(one):
        return UNPREDICTED if one.upper_ms is None else OVER_BUDGET
    if not demand.keeps_floor(one):
        return NO_ACCURACY if one.accuracy is None else BELOW_FLOOR
    return LATER_NAME if chosen is None else _worse_by(one, chosen)


def _worse_by(one: Candidate, chosen: Candidate) -> str:
    """The first place of the order (runtime/selection/order.py) at which they differ."""
    mine, best = one.accuracy, chosen.accuracy
    if mine is None or best is None:
        if best is not None:
            return NO_ACCURACY
    elif mine.score != best.score:
        return LESS_ACCURATE
    elif mine.measured != best.measured:
        return NOT_MEASURED
    if (mine is None or not mine.measured) and one.active_parameters != chosen.active_parameters:
        return KEEPS_LESS
    if one.predicted_ms != chosen.predicted_ms:
        return SLOWER
    return MORE_MEMORY if one.bytes != chosen.bytes else LATER_NAME


def _text(kind: str, one: Candidate, chosen: Candidate | None, demand: Demand) -> str:
    if kind in (NOT_PINNED, NOT_EXPORTED, UNPREDICTED, OVER_BUDGET, NO_ACCURACY, BELOW_FLOOR) or chosen is None:
        return _broken(kind, one, demand)
    return _compared(kind, one, chosen)


def _broken(kind: str, one: Candidate, demand: Demand) -> str:
    match kind:
        case "not_exported":
            return "it was never exported, and the request wants a variant that was"
        case "not_pinned":
            asked = " in ".join(name for name in (demand.variant, demand.dtype) if name is not None)
            return f"the request asks for {asked}"
        case "unpredicted":
            return f"there is a budget, and its time is not known: {one.unpredicted or 'no estimator covers it'}"
        case "over_budget":
            return f"takes up to {_ms(one.upper_ms)}, the budget is {_ms(demand.budget_ms)}"
        case "no_accuracy":
            return "its accuracy on the task is not known"
    low = "unknown" if one.accuracy is None else f"{one.accuracy.low:.4f}"
    return f"its accuracy may be as low as {low}, the least allowed is {demand.min_accuracy}"


def _compared(kind: str, one: Candidate, chosen: Candidate) -> str:
    match kind:
        case "less_accurate" if one.accuracy is not None and chosen.accuracy is not None:
            return f"its accuracy is {one.accuracy.score:.4f}, the chosen one's {chosen.accuracy.score:.4f}"
        case "not_measured":
            return "its accuracy is not measured, the chosen one's is, and is no lower"
        case "keeps_less":
            parameters = f"{one.active_parameters} active parameters, the chosen one has {chosen.active_parameters}"
            return f"no less accurate as far as is known, but has {parameters}"
        case "slower":
            return f"as accurate, but takes {_ms(one.predicted_ms)}, the chosen one {_ms(chosen.predicted_ms)}"
        case "more_memory":
            return f"as accurate and as fast, but needs {one.bytes} bytes, the chosen one {chosen.bytes}"
    return "alike in everything; the chosen one comes first by name"


def _ms(value: float | None) -> str:
    return "an unknown time" if value is None else f"{value:.1f} ms"
