"""Progress of evidence being measured as text: which split, how many of its block runs are done, the time left."""

import time
from collections.abc import Callable
from typing import TextIO

from runtime.text.progress_line import ProgressLine

_REDRAW_S = 0.2
_LINE_S = 15.0


class RunProgress:
    """Redraws one line on a terminal; elsewhere writes a line at the end of each part and every fifteen seconds."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to `stream`."""
        self._line, self._clock = ProgressLine(stream), clock
        self._name, self._runs, self._done = "", 0, 0
        self._began = self._shown = 0.0

    def begin(self, name: str, runs: int) -> None:
        """A part that runs so many blocks on batches begins."""
        self._name, self._runs, self._done = name, runs, 0
        self._began = self._shown = self._clock()

    def ran(self) -> None:
        """One more was run."""
        self._done += 1
        now = self._clock()
        if now - self._shown < (_REDRAW_S if self._line.on_terminal else _LINE_S):
            return
        self._shown = now
        left = (now - self._began) / self._done * max(self._runs - self._done, 0)
        self._show(f"{show_seconds(left)} left")

    def end(self) -> None:
        """The part is over."""
        self._line.finish(f"{self._name}: {self._done} block runs, {show_seconds(self._clock() - self._began)}")

    def _show(self, rest: str) -> None:
        text = f"{self._name}: {self._done} of {self._runs} block runs, {rest}"
        if self._line.on_terminal:
            self._line.draw(text)
        else:
            self._line.finish(text)


def show_seconds(seconds: float) -> str:
    """A time to read: `45 s`, `12 min`, `3.2 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
