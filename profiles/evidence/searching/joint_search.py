"""Search over removed blocks and the experts per token of all others together, for the best accuracy at each cost.

What each single change loses is measured first. The sum of what changes lose is then least for a cost where each block
takes the choice with the least (loss + price · cost), for a price (Everett, Operations Research 11, 1963): a sweep over
prices gives candidates at all costs, which are measured. What they lose corrects the losses of single changes (ridge
regression towards what is known), and the next round begins; so interactions shift the search, though it knows none.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from profiles.evidence.running.cut import WHOLE, Cut
from profiles.evidence.searching.beam_search import PROTECTED
from profiles.evidence.searching.costs import Costs

Choice = tuple[int, int]
"""A block, and what becomes of it: its experts per token, or 0 where it is removed."""

REMOVED = 0
_PRICES = 400
_TRUST = 4.0  # measured cuts that weigh as much as what was known of a single change

Drops = Callable[[Sequence[Cut]], Sequence[float]]
"""What each cut loses, a fraction, the mean over data sets."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """A cut that was measured: what it costs and what it loses."""

    cut: Cut
    cost: float
    drop: float


def joint_search(drops: Drops, costs: Costs, *, most_removed: int, rounds: int, each: int) -> tuple[Tried, ...]:
    """Every cut that was measured, in order: single changes; all blocks after block 0 with one number of experts; those
    removed that lose least alone, two and more; then in each round at most `each` new candidates, spread over the
    costs. At most `most_removed` blocks are removed; block 0 is as in the source."""
    singles = [(block, k) for block in range(len(costs.blocks)) if block != PROTECTED for k in _changes(costs, block)]
    first = [_cut([one]) for one in singles] + [_cut(uniform) for uniform in _uniform(singles)]
    tried = dict(zip(first, drops(first), strict=True))
    losses = {one: max(0.0, tried[_cut([one])]) for one in singles}
    chain = [cut for cut in _removals(losses, most_removed) if cut not in tried]
    tried |= dict(zip(chain, drops(chain), strict=True))
    for _ in range(rounds):
        wanted = [cut for cut in candidates(losses, costs, most_removed) if cut not in tried and cut != WHOLE]
        chosen = _spread(sorted(wanted, key=costs.of), each)
        if not chosen:
            break
        tried |= dict(zip(chosen, drops(chosen), strict=True))
        losses = _corrected(losses, tried)
    return tuple(Tried(cut=cut, cost=costs.of(cut), drop=drop) for cut, drop in ((WHOLE, 0.0), *tried.items()))


def frontier(tried: Iterable[Tried]) -> tuple[Tried, ...]:
    """Those that no other one dominates: that costs no more and loses no more. Ascending in cost."""
    best: list[Tried] = []
    for one in sorted(tried, key=lambda one: (one.cost, one.drop)):
        if not best or one.drop < best[-1].drop:
            best.append(one)
    return tuple(best)


def candidates(losses: Mapping[Choice, float], costs: Costs, most_removed: int) -> tuple[Cut, ...]:
    """The cuts that lose least for their cost if losses add up, from a price of nothing to one at which all that can go
    goes."""
    blocks = sorted({block for block, _ in losses})
    saved = {one: costs.blocks[one[0]][None] - _cost(costs, one) for one in losses}
    rates = [losses[one] / saved[one] for one in losses if saved[one] > 0]
    if not rates:
        return ()
    lowest, highest = min((rate for rate in rates if rate > 0), default=1e-9), max(rates)
    prices = np.geomspace(lowest / 10, max(highest, lowest) * 10, _PRICES)
    return tuple(dict.fromkeys(_cheapest(blocks, losses, saved, float(price), most_removed) for price in prices))


def _cheapest(
    blocks: Sequence[int],
    losses: Mapping[Choice, float],
    saved: Mapping[Choice, float],
    price: float,
    most_removed: int,
) -> Cut:
    """The cut with the least loss less price · saving, at most `most_removed` blocks removed: those for which removal
    gains most over the best that keeps them."""

    def worth(one: Choice) -> float:
        return price * saved[one] - losses[one]

    kept: dict[int, Choice | None] = {}
    gain: dict[int, float] = {}
    for block in blocks:
        own = [one for one in losses if one[0] == block and one[1] != REMOVED]
        best = max(own, key=worth, default=None)
        kept[block] = best if best is not None and worth(best) > 0 else None
        alternative = max(0.0, worth(best)) if best is not None else 0.0
        if (block, REMOVED) in losses:
            gain[block] = worth((block, REMOVED)) - alternative
    gone = sorted((block for block in gain if gain[block] > 0), key=lambda block: -gain[block])[:most_removed]
    changes = [one for block, one in kept.items() if one is not None and block not in gone]
    return _cut([*changes, *((block, REMOVED) for block in gone)])


def _corrected(losses: Mapping[Choice, float], tried: Mapping[Cut, float]) -> dict[Choice, float]:
    """Losses of single changes, moved towards what explains all cuts measured: ridge regression around them."""
    names = list(losses)
    place = {one: number for number, one in enumerate(names)}
    rows = np.zeros((len(tried), len(names)))
    for row, cut in zip(rows, tried, strict=True):
        for one in (*((block, REMOVED) for block in cut.removed), *cut.top_k):
            row[place[one]] = 1.0
    known = np.array([losses[one] for one in names])
    errors = np.array(list(tried.values())) - rows @ known
    moved = np.linalg.solve(rows.T @ rows + _TRUST * np.eye(len(names)), rows.T @ errors)
    return {one: max(0.0, float(value)) for one, value in zip(names, known + moved, strict=True)}


def _changes(costs: Costs, block: int) -> tuple[int, ...]:
    return (REMOVED, *(k for k in costs.blocks[block] if k is not None))


def _cost(costs: Costs, one: Choice) -> float:
    return 0.0 if one[1] == REMOVED else costs.blocks[one[0]][one[1]]


def _removals(losses: Mapping[Choice, float], most_removed: int) -> list[Cut]:
    """The blocks that lose least alone, from two of them on."""
    least = sorted((one for one in losses if one[1] == REMOVED), key=lambda one: (losses[one], one))
    return [_cut(least[:count]) for count in range(2, min(most_removed, len(least)) + 1)]


def _uniform(singles: Sequence[Choice]) -> list[list[Choice]]:
    ks = sorted({k for _, k in singles if k != REMOVED})
    return [[one for one in singles if one[1] == k] for k in ks]


def _cut(changes: Iterable[Choice]) -> Cut:
    found = sorted(changes, key=lambda one: one[0])
    return Cut(
        removed=tuple(block for block, k in found if k == REMOVED),
        top_k=tuple((block, k) for block, k in found if k),
    )


def _spread(found: Sequence[Cut], count: int) -> list[Cut]:
    """At most so many, evenly from all."""
    if len(found) <= count:
        return list(found)
    return [found[place * (len(found) - 1) // (count - 1)] for place in range(count)] if count > 1 else [found[0]]
