"""A progress line on stderr: phase, bar, bytes, rate, time left. Silent when stderr is not a terminal."""

import sys
import time

from runtime.text.sizes import show_bytes

_WIDTH = 24
_INTERVAL_S = 0.1


class ProgressBar:
    """Shows the phases of long work and keeps how long each took, in seconds, in `seconds`."""

    def __init__(self) -> None:
        """Draw only when stderr is a terminal."""
        self.seconds: dict[str, float] = {}
        self._draws = sys.stderr.isatty()
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
        if self._draws and now - self._drawn >= _INTERVAL_S:
            self._drawn = now
            self._draw(now - self._began)

    def end(self) -> None:
        """End the phase and leave the line clean."""
        if self._phase is not None:
            self.seconds[self._phase] = self.seconds.get(self._phase, 0.0) + time.monotonic() - self._began
            if self._draws:
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()
            self._phase = None

    def _draw(self, elapsed: float) -> None:
        share = min(self._done / self._total, 1.0) if self._total else 1.0
        rate = self._done / elapsed if elapsed > 0 else 0.0
        left = f"{(self._total - self._done) / rate:.0f} s left" if rate > 0 and self._total > self._done else ""
        bar = ("=" * round(share * _WIDTH)).ljust(_WIDTH)
        sys.stderr.write(
            f"\r\x1b[K{self._phase:<16} [{bar}] {show_bytes(self._done)} of {show_bytes(self._total)}, "
            f"{show_bytes(round(rate))}/s {left}"
        )
        sys.stderr.flush()
