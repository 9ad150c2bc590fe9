"""When what happened to a request, and what its stages took."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from runtime.engines.stages import DECODE, PREFILL, SAMPLING
from runtime.serving.answer import Timing


class StageSums:
    """Seconds by stage, of all threads and chunks together; a StageClock (runtime/engines/protocol.py)."""

    def __init__(self) -> None:
        """Nothing is timed yet."""
        self._lock, self._seconds = threading.Lock(), dict[str, float]()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.span(name, began, time.perf_counter())

    def span(self, name: str, began: float, ended: float) -> None:
        """Add what was timed elsewhere, from second to second."""
        with self._lock:
            self._seconds[name] = self._seconds.get(name, 0.0) + ended - began

    def split(self, read_s: float) -> Mapping[str, float]:
        """`read_s`, which reading prompts took in all, by stage: what no other stage took is PREFILL's."""
        others = {name: seconds for name, seconds in self._seconds.items() if name != PREFILL}
        return {**others, PREFILL: max(0.0, read_s - sum(others.values()))}


@dataclass(slots=True, kw_only=True)
class Times:
    """Moments are seconds of the scheduler's clock; `stages` are milliseconds."""

    arrived: float
    began: float | None = None
    first: float | None = None
    stages: dict[str, float] = field(default_factory=dict)

    def begin(self, now: float) -> None:
        """The prompt is being read from now on; later calls change nothing."""
        if self.began is None:
            self.began = now

    def read(self, seconds: Mapping[str, float], now: float) -> None:
        """The prompt was read in those stages, and its first token is there."""
        for name, took in seconds.items():
            self.stages[name] = self.stages.get(name, 0.0) + 1e3 * took
        if self.first is None:
            self.first = now

    def sampled(self, seconds: float) -> None:
        """The first token was chosen."""
        self.stages.setdefault(SAMPLING, 1e3 * seconds)

    def decoded(self, seconds: float) -> None:
        """A further token took this."""
        self.stages[DECODE] = self.stages.get(DECODE, 0.0) + 1e3 * seconds

    def timing(self, now: float) -> Timing:
        """The times of an answer that ends now; what has not happened took until now."""
        began, first = (now if moment is None else moment for moment in (self.began, self.first))
        return Timing(
            queue_ms=1e3 * (began - self.arrived),
            first_token_ms=1e3 * (first - self.arrived),
            total_ms=1e3 * (now - self.arrived),
            stages=dict(self.stages),
        )
