"""A clock for the stages of one answer, which may run side by side."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise


class StageTimes:
    """Milliseconds by stage, of parts that run side by side too: while several stages run, each has its share of the
    time, so that all together are the time that passed. See StageClock."""

    def __init__(self) -> None:
        """Nothing is timed yet."""
        self._spans: list[tuple[str, float, float]] = []
        self._around: list[tuple[str, float, float]] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block."""
        began = time.perf_counter()
        yield
        self.span(name, began, time.perf_counter())

    def span(self, name: str, began: float, ended: float) -> None:
        """See StageClock."""
        self._spans.append((name, began, ended))

    @contextmanager
    def around(self, name: str) -> Iterator[None]:
        """Time the block as `name` while no other stage runs in it."""
        began = time.perf_counter()
        yield
        self._around.append((name, began, time.perf_counter()))

    @property
    def ms(self) -> dict[str, float]:
        """What each stage took, in all."""
        found = {name: 0.0 for name, _, _ in (*self._spans, *self._around)}
        moments = sorted({moment for _, *ends in (*self._spans, *self._around) for moment in ends})
        for begin, end in pairwise(moments):
            running = _running(self._spans, begin, end) or _running(self._around, begin, end)
            for name in running:
                found[name] += 1e3 * (end - begin) / len(running)
        return found


def _running(spans: list[tuple[str, float, float]], begin: float, end: float) -> list[str]:
    """The stages that run all the time from `begin` to `end`."""
    return [name for name, first, last in spans if first <= begin and end <= last]
