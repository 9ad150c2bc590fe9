"""Progress of a benchmark as text: what is measured, how much of it is known, the time left."""

import time
from collections.abc import Callable
from typing import TextIO

from profiles.latency.bench.forms import Form
from runtime.text.counted import counted
from runtime.text.progress_line import ProgressLine

_REDRAW_S = 0.2
_LINE_S = 15.0


class BenchProgress:
    """Redraws one line on a terminal; elsewhere writes a line every fifteen seconds. Call it where a form begins."""

    def __init__(
        self, stream: TextIO, form_budget_s: float | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Write to `stream`; `form_budget_s` is the time for each form."""
        self._line, self._budget_s, self._clock = ProgressLine(stream), form_budget_s, clock
        self._name, self._shown = "", clock()

    def __call__(self, form: Form) -> "BenchProgress":
        """The progress of a form."""
        self._name = form.name
        return self

    def visited(self, *, visits: int, settled: int, cells: int, second: float) -> None:
        """See RunProgress."""
        if self._clock() - self._shown < (_REDRAW_S if self._line.on_terminal else _LINE_S):
            return
        self._shown = self._clock()
        known = f"{settled} of {cells} cells known after {counted(visits, 'visit')}"
        text = f"{self._name}: {known}, {second:.0f} s, {self._left(settled, cells, second)}"
        if self._line.on_terminal:
            self._line.draw(text)
        else:
            self._line.finish(text)

    def finish(self) -> None:
        """Leave the line empty."""
        if self._line.on_terminal:
            self._line.clear()

    def _left(self, settled: int, cells: int, second: float) -> str:
        needed = second * (cells - settled) / settled if settled else None
        if self._budget_s is not None:
            rest = max(0.0, self._budget_s - second)
            needed = rest if needed is None else min(rest, needed)
        return "…" if needed is None else f"{needed:.0f} s left"
