"""How long answers get, by task: what their request allows until enough were seen."""

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

KEPT = 512  # answers of a task
ENOUGH = 20  # answers from which on they are believed


@dataclass(frozen=True, kw_only=True, slots=True)
class Length:
    """Tokens of an answer: the mean, and what only few exceed."""

    mean: float
    high: int


class Lengths:
    """The tokens of the last answers of each task. Not for several threads."""

    def __init__(self, *, quantile: float = 0.95, seen: Iterable[tuple[str, int]] = ()) -> None:
        """Of the answers seen, a share `quantile` is at most as long as `high`; `seen` are tasks with the tokens of
        earlier answers. Raises ValueError unless 0–1."""
        if not 0.0 < quantile <= 1.0:
            raise ValueError(f"a quantile is above 0 and at most 1, not {quantile}")
        self._quantile = quantile
        self._seen: dict[str | None, deque[int]] = {}
        self._sorted: dict[str | None, list[int]] = {}
        for task, tokens in seen:
            self.learn(task, tokens)

    def learn(self, task: str | None, tokens: int) -> None:
        """An answer of the task had so many tokens, and ended by itself or by its cap."""
        seen = self._seen.setdefault(task, deque())
        ordered = self._sorted.setdefault(task, [])
        if len(seen) == KEPT:
            ordered.pop(bisect_right(ordered, seen.popleft()) - 1)
        seen.append(tokens)
        insort(ordered, tokens)

    def expect(self, task: str | None, cap: int) -> Length:
        """The length of an answer of at most `cap` tokens: `cap` until enough were seen."""
        ordered = self._sorted.get(task, [])
        if len(ordered) < ENOUGH or cap <= 1:
            return Length(mean=float(cap), high=cap)
        below = bisect_right(ordered, cap)
        mean = (sum(ordered[:below]) + cap * (len(ordered) - below)) / len(ordered)
        place = min(int(self._quantile * len(ordered)), len(ordered) - 1)
        return Length(mean=mean, high=min(ordered[place], cap))
