"""The choice: the best expected accuracy that keeps the request's limits; pure, it knows no estimator and no engine.

1. Only what the request asks for by name is looked at.
2. Of the candidates whose upper bound is within the budget and whose accuracy is at the floor even at its lower end,
   the best one by runtime/selection/order.py is chosen. Without a budget that is the most accurate one.
3. Where there is none, the request is refused with what would be feasible, or, by best effort, answered by the nearest:
   the budget is kept where it can be, and the floor missed by the least; where no candidate keeps the budget, it is
   overrun by the least, by one that keeps the floor if there is one; where no time is known, the budget is left aside.
"""

from collections.abc import Iterable, Sequence

from runtime.selection.candidate import Candidate
from runtime.selection.choice import Choice, NoFeasibleVariantError
from runtime.selection.demand import Demand
from runtime.selection.order import Key, key
from runtime.selection.reasons import Reasons


def choose(candidates: Sequence[Candidate], demand: Demand) -> Choice:
    """Choose as the head of this module says. Raises NoFeasibleVariantError; by best effort only where no candidate has
    the name that is asked for."""
    feasible = [one for one in candidates if demand.keeps_budget(one) and demand.keeps_floor(one)]
    if demand.variant is not None or demand.dtype is not None or not demand.elastic:
        feasible = [one for one in feasible if demand.asks_for(one)]
    if feasible:
        best = min(feasible, key=key)
        return Choice(candidate=best, reasons=Reasons(candidates, best, demand), best_effort=False)
    asked = [one for one in candidates if demand.asks_for(one)]
    if not asked or not demand.best_effort:
        raise _refusal(candidates, asked, demand)
    best = _nearest(asked, demand)
    return Choice(candidate=best, reasons=Reasons(candidates, best, demand), best_effort=True)


def _nearest(asked: Sequence[Candidate], demand: Demand) -> Candidate:
    """See the head of this module, 3."""
    in_time = [one for one in asked if demand.keeps_budget(one)]
    if in_time:
        return min(in_time, key=_by_low)
    kept = [one for one in asked if demand.keeps_floor(one)]
    for group in (kept, asked):
        if any(one.upper_ms is not None for one in group):
            return min(group, key=_by_upper)
    return min(kept, key=key) if kept else min(asked, key=_by_low)


def _by_low(one: Candidate) -> tuple[float, Key]:
    return (1.0 if one.accuracy is None else -one.accuracy.low, key(one))


def _by_upper(one: Candidate) -> tuple[float, Key]:
    return (float("inf") if one.upper_ms is None else one.upper_ms, key(one))


def _refusal(candidates: Sequence[Candidate], asked: Sequence[Candidate], demand: Demand) -> NoFeasibleVariantError:
    """The error, with what would be feasible."""
    enough = min(
        (one for one in asked if demand.keeps_floor(one) and one.upper_ms is not None), key=_by_upper, default=None
    )
    best = min(
        (one for one in asked if demand.keeps_budget(one) and one.accuracy is not None), key=_by_low, default=None
    )
    if not asked:
        text = f"{_name(demand)} is not among what is served: {', '.join(_names(candidates)) or 'nothing'}"
    else:
        text = "; ".join([f"no variant keeps {_asked_for(demand)}", *_hints(asked, enough, best, demand)])
    return NoFeasibleVariantError(
        text,
        reasons=Reasons(candidates, None, demand),
        least_budget_ms=None if enough is None else enough.upper_ms,
        best_accuracy=None if best is None or best.accuracy is None else best.accuracy.low,
    )


def _asked_for(demand: Demand) -> str:
    """The limits in words."""
    budget = None if demand.budget_ms is None else f"a budget of {demand.budget_ms:.1f} ms"
    floor = None if demand.min_accuracy is None else f"an accuracy of at least {demand.min_accuracy:g}"
    named = "" if demand.variant is None and demand.dtype is None else f", being {_name(demand)}"
    return " with ".join(part for part in (budget, floor) if part is not None) + named


def _hints(
    asked: Sequence[Candidate], enough: Candidate | None, best: Candidate | None, demand: Demand
) -> Iterable[str]:
    """What would be feasible, as far as there is anything."""
    if demand.budget_ms is not None and all(one.upper_ms is None for one in asked):
        why = next((one.unpredicted for one in asked if one.unpredicted), "there is no estimator")
        yield f"what an answer takes is not known ({why}): leave the budget out, or ask for best effort"
    elif enough is not None and demand.budget_ms is not None:
        yield f"the least budget is {enough.upper_ms:.1f} ms, for {enough.variant} {enough.dtype}"
    if demand.min_accuracy is None:
        return
    if all(one.accuracy is None for one in asked):
        yield "accuracies on the task are not known"
    elif best is not None and best.accuracy is not None:
        within = "" if demand.budget_ms is None else "within the budget "
        yield f"{within}the highest floor is {best.accuracy.low:.4f}, of {best.variant} {best.dtype}"


def _name(demand: Demand) -> str:
    return " in ".join(name for name in (demand.variant, demand.dtype) if name is not None) or "anything"


def _names(candidates: Sequence[Candidate]) -> list[str]:
    return sorted({f"{one.variant} in {one.dtype}" for one in candidates})
