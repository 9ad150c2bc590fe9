"""Visits cells in random order, round after round, until their medians are known well enough or the time is over."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from profiles.errors import MeasurementError
from profiles.journal import Journal
from profiles.latency.bench.grid import Cell
from profiles.latency.bench.samples import Visit, by_stage, grouped, relative_error, summarise, undisturbed

FIRST_CELLS, NEXT_CELLS = 24, 8
LEAST_SHARE = 0.02  # a stage that takes less of a visit than this need not be known as well
Measure = Callable[[Cell], Visit]


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """When a cell has been visited often enough: `least` visits that no other program disturbed, and every stage's
    median known to `relative_error`, or `most` visits. `spread` is how much repeats may differ before the machine
    counts as too noisy."""

    least: int = 5
    most: int = 30
    relative_error: float = 0.015
    spread: float = 0.25


class RunProgress(Protocol):
    """Told of a run after every visit."""

    def visited(self, *, visits: int, settled: int, cells: int, second: float) -> None:
        """After so many visits `settled` of `cells` are known well enough; the run began `second` seconds ago, pauses
        not counted."""


@dataclass(kw_only=True, slots=True)
class _State:
    """The visits of each cell; which cells have been warmed up, and which are known well enough."""

    visits: dict[str, list[Visit]]
    warm: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """`cells`, the most telling first, visited by `measure` into `journal`. With `budget_s` a run begins with the first
    `FIRST_CELLS`, takes up `NEXT_CELLS` more in every round for which there is time, so that the visits of each are
    spread over the run, and ends when the seconds are over and each cell that was taken up has had its least number of
    visits."""

    cells: Sequence[Cell]
    measure: Measure
    journal: Journal[Visit]
    limits: Limits
    budget_s: float | None = None

    def go(self, progress: RunProgress) -> None:
        """Visit until all is known or the time is over. The first visit of a cell warms up and is not kept."""
        state = _State(visits=dict(grouped(self.journal.rows)))
        state.known.update(name for name, found in state.visits.items() if settled(found, self.limits))
        visited = [place for place, cell in enumerate(self.cells, 1) if cell.name in state.visits]
        taken = len(self.cells) if self.budget_s is None else max(FIRST_CELLS, *visited, 0)
        while True:
            left = [cell for cell in self.cells[:taken] if self._wanted(state.visits.get(cell.name, []))]
            if left:
                self._round(left, state, progress)
            if self._has_room(taken, state):
                taken += NEXT_CELLS
            elif not left:
                return

    def _round(self, left: list[Cell], state: _State, progress: RunProgress) -> None:
        """A visit to each cell, in random order, so that a drift of the machine does not look like a difference between
        cells; the seed is the number of visits kept, so that a run that goes on does not repeat the order it had."""
        random.Random(len(self.journal.rows)).shuffle(left)
        for cell in left:
            found = state.visits.setdefault(cell.name, [])
            if not self._wanted(found):  # the time is over since the round began
                continue
            if cell.name not in state.warm:
                self.measure(cell)
                state.warm.add(cell.name)
            visit = self.measure(cell)
            self.journal.add(visit)
            found.append(visit)
            if settled(found, self.limits):
                state.known.add(cell.name)
            visits, known = len(self.journal.rows), len(state.known)
            progress.visited(visits=visits, settled=known, cells=len(self.cells), second=visit.second)

    def _has_room(self, taken: int, state: _State) -> bool:
        """Whether there is time for the least number of visits of the next cells too, and there are any."""
        rows, least = self.journal.rows, self.limits.least
        if taken >= len(self.cells) or self.budget_s is None or not rows:
            return False
        lacking = sum(max(0, least - len(state.visits.get(cell.name, ()))) for cell in self.cells[: taken + NEXT_CELLS])
        each_s = rows[-1].second / len(rows)
        return rows[-1].second + each_s * (lacking + NEXT_CELLS) <= self.budget_s

    @property
    def _over(self) -> bool:
        rows = self.journal.rows
        return self.budget_s is not None and bool(rows) and rows[-1].second > self.budget_s

    def _wanted(self, visits: Sequence[Visit]) -> bool:
        """Whether a cell wants another visit."""
        if not self._over:
            return not settled(visits, self.limits)
        calm = sum(not visit.disturbed for visit in visits)
        return calm < self.limits.least and len(visits) < 2 * self.limits.least


def settled(visits: Sequence[Visit], limits: Limits) -> bool:
    """Whether a cell needs no further visit."""
    if len(visits) >= limits.most:
        return True
    visits = [visit for visit in visits if not visit.disturbed]
    if len(visits) < limits.least:
        return False
    whole = sum(sum(visit.stages.values()) + sum(ms for _, ms in visit.decoded) for visit in visits) / len(visits)
    return all(
        relative_error(times) <= limits.relative_error
        for times in by_stage(visits).values()
        if sum(times) / len(times) >= LEAST_SHARE * whole
    )


def check_spread(visits: Sequence[Visit], limits: Limits) -> float:
    """How much repeats differ: the median over cells and stages of their spread, as a share. Raises MeasurementError
    where that is above the limit, with what to do."""
    spreads = []
    for _, found in grouped(visits):
        for times in by_stage(undisturbed(found, limits.least)).values():
            spreads.append(summarise(times).spread)
    spreads.sort()
    spread = spreads[len(spreads) // 2] if spreads else 0.0
    if spread > limits.spread:
        raise MeasurementError(
            f"this machine is too noisy to measure: repeats of the same work differ by ± {100 * spread:.0f} %, "
            f"the limit is {100 * limits.spread:.0f} %; stop other programs, bind to idle processors (taskset), "
            "fix the clocks, or accept it with --spread-limit: what was measured is kept, and the same command goes on "
            "from there"
        )
    return spread
