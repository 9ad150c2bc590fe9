"""A progress line on stderr: phase, bytes, rate, time left, bar. Silent when stderr is not a terminal."""

import sys
import time

from runtime.text.progress_line import ProgressLine
from runtime.text.sizes import show_bytes

_BAR = 18  # with the text before it, 79 columns
_INTERVAL_S = 0.1


class ProgressBar:
    """Shows the phases of long work and keeps how long each took, in seconds, in `seconds`."""

    def __init__(self) -> None:
        """Draw only when stderr is a terminal."""
        self.seconds: dict[str, float] = {}
        self._line = ProgressLine(sys.stderr)
        self._phase: str | None = None
        self._total = self._done = 0
        self._began = self._drawn = 0.0

    def begin(self, phase: str, total_bytes: int) -> None:
        """Start a phase; the one before ends."""
        self.end()
        self._phase, self._total, self._done = phase, total_bytes, 0
        self._began, self._drawn = time.monotonic(), 0.0

    def advance(self, count: int) -> None:
        """Count bytes; draws at most ten times a second."""
        self._done += count
        now = time.monotonic()
        if self._line.on_terminal and now - self._drawn >= _INTERVAL_S:
            self._drawn = now
            self._line.draw(self._text(now - self._began))

    def end(self) -> None:
        """End the phase and leave the line clean."""
        if self._phase is not None:
            self.seconds[self._phase] = self.seconds.get(self._phase, 0.0) + time.monotonic() - self._began
            if self._line.on_terminal:
                self._line.clear()
            self._phase = None

    def _text(self, elapsed: float) -> str:
        """What matters first, because a narrow terminal shows only the beginning."""
        share = min(self._done / self._total, 1.0) if self._total else 1.0
        rate = self._done / elapsed if elapsed > 0 else 0.0
        left = f", {(self._total - self._done) / rate:.0f} s left" if rate > 0 and self._total > self._done else ""
        amounts = f"{show_bytes(self._done)} of {show_bytes(self._total)}, {show_bytes(round(rate))}/s{left}"
        return f"{self._phase} {share:4.0%}  {amounts}".ljust(58) + f" [{'=' * round(share * _BAR):<{_BAR}}]"
