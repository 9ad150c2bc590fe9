"""How long answers get, by task: what their request allows until enough were seen."""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

KEPT = 512  # answers of a task
ENOUGH = 20  # answers from which on they are believed
Seen = tuple[str, int, bool]
"""A task, and an answer to it: its tokens, and whether its cap cut it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Length:
    """Tokens of an answer: the mean, and what only few exceed."""

    mean: float
    high: int


@dataclass(slots=True)
class _Seen:
    """Answers of a task in their order, each with its tokens and whether it was cut, and the tokens of those that ended
    by themselves and of those that were cut, sorted."""

    order: deque[tuple[int, bool]] = field(default_factory=deque)
    ended: list[int] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)

    def add(self, tokens: int, *, cut: bool) -> None:
        if len(self.order) == KEPT:
            gone, was_cut = self.order.popleft()
            found = self.cut if was_cut else self.ended
            found.pop(bisect_left(found, gone))
        self.order.append((tokens, cut))
        insort(self.cut if cut else self.ended, tokens)


class Lengths:
    """The tokens of the last answers of each task. Not for several threads."""

    def __init__(self, *, quantile: float = 0.95, seen: Iterable[Seen] = ()) -> None:
        """Of the answers seen, a share `quantile` is at most as long as `high`; `seen` are earlier ones. Raises
        ValueError unless 0–1."""
        if not 0.0 < quantile <= 1.0:
            raise ValueError(f"a quantile is above 0 and at most 1, not {quantile}")
        self._quantile = quantile
        self._seen: dict[str | None, _Seen] = {}
        for task, tokens, cut in seen:
            self.learn(task, tokens, cut=cut)

    def learn(self, task: str | None, tokens: int, *, cut: bool = False) -> None:
        """An answer of the task had so many tokens, and ended by itself or was `cut` by its cap: then it says nothing
        of requests that allow more."""
        self._seen.setdefault(task, _Seen()).add(tokens, cut=cut)

    def expect(self, task: str | None, cap: int) -> Length:
        """The length of an answer of at most `cap` tokens: `cap` until enough were seen."""
        seen = self._seen.get(task, _Seen())
        below = bisect_right(seen.ended, cap)
        longer = len(seen.ended) - below + len(seen.cut) - bisect_left(seen.cut, cap)
        count = below + longer
        if count < ENOUGH or cap <= 1:
            return Length(mean=float(cap), high=cap)
        place = min(int(self._quantile * count), count - 1)
        mean = (sum(seen.ended[:below]) + cap * longer) / count
        return Length(mean=mean, high=seen.ended[place] if place < below else cap)
