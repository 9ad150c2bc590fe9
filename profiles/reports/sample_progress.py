"""Progress of an evaluation as text: what is measured, how far it is, the rate, the time left."""

import time
from collections.abc import Callable
from typing import TextIO

from runtime.text.progress_line import ProgressLine

_REDRAW_S = 0.2
_LINE_S = 15.0


class SampleProgress:
    """Redraws one line on a terminal; elsewhere writes a line at the end of each part and every fifteen seconds.

    The rate counts what was answered here, not what an earlier run had left.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to `stream`."""
        self._line, self._clock = ProgressLine(stream), clock
        self._name, self._total, self._kept, self._done = "", 0, 0, 0
        self._began = self._shown = 0.0

    def begin(self, name: str, total: int, kept: int) -> None:
        """A part of `total` samples begins, `kept` of which were answered by an earlier run."""
        self._name, self._total, self._kept, self._done = name, total, kept, 0
        self._began = self._shown = self._clock()

    def advance(self, count: int) -> None:
        """`count` more samples are answered."""
        self._done += count
        if self._clock() - self._shown >= (_REDRAW_S if self._line.on_terminal else _LINE_S):
            self._show(last=False)

    def end(self) -> None:
        """The part is over."""
        self._show(last=True)

    def _show(self, *, last: bool) -> None:
        self._shown = self._clock()
        elapsed = self._shown - self._began
        rate = self._done / elapsed if elapsed > 0 else 0.0
        left = self._total - self._kept - self._done
        parts = [f"{self._name}: {self._kept + self._done} of {self._total}"]
        if self._kept:
            parts.append(f"{self._kept} kept")
        if rate > 0:
            parts.append(f"{rate:.1f} samples/s")
        parts.append(f"{elapsed:.0f} s" if last else f"{left / rate:.0f} s left" if rate > 0 else "…")
        text = ", ".join(parts)
        if last or not self._line.on_terminal:
            self._line.finish(text)
        else:
            self._line.draw(text)
