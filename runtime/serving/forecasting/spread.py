"""By how much answers exceed their predictions while other requests come and go, learned from the last outcomes: a
quantile, as split conformal prediction takes it (Lei et al. 2018), in a window that moves along.

Who comes meanwhile is chance: the longer an answer takes, the more there are, but what they add to it differs from the
mean by the root of the time only. So what is kept of each outcome is its excess over the root of its prediction.
"""

import math
import time
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from runtime.serving.forecasting.fading import Fading

KEPT = 100  # answers
ENOUGH = 20  # answers from which on they are believed
MOST = 3.0  # times the prediction are added at most: a machine that stands still now and then is none to plan for
HALF_LIFE_S = 5.0
Array = npt.NDArray[np.float64]


class Spread:
    """The excess of the last answers, which fades while none come. Not for several threads."""

    def __init__(self, *, quantile: float = 0.9, clock: Callable[[], float] = time.monotonic) -> None:
        """A share `quantile` of answers is to stay below the upper bound; `clock` is in seconds."""
        self._fading = Fading(clock, half_life_s=HALF_LIFE_S)
        self._quantile = quantile
        self._seen: deque[float] = deque()
        self._sorted: list[float] = []

    def observe(self, *, actual_ms: float, predicted_ms: float) -> None:
        """Learn from an outcome; what is not above zero teaches nothing."""
        if not (0 < actual_ms < math.inf and 0 < predicted_ms < math.inf):
            return
        self._fade(self._fading.renew())
        if len(self._seen) == KEPT:
            self._sorted.pop(bisect_left(self._sorted, self._seen.popleft()))
        excess = (actual_ms - predicted_ms) / math.sqrt(predicted_ms)
        self._seen.append(excess)
        insort(self._sorted, excess)

    @property
    def excess(self) -> float:
        """What only few answers exceed, over the root of the prediction; 0 until enough was seen, and never below."""
        count = len(self._sorted)
        if count < ENOUGH:
            return 0.0
        place = min(math.ceil((count + 1) * self._quantile), count) - 1
        return max(self._sorted[place], 0.0) * self._fading.left

    def _fade(self, left: float) -> None:
        if left < 1.0:
            self._seen = deque(left * excess for excess in self._seen)
            self._sorted = [left * excess for excess in self._sorted]


def margin_ms(excess: float, predicted_ms: Array) -> Array:
    """What is added to predictions for their upper bounds."""
    return np.minimum(excess * np.sqrt(predicted_ms), MOST * predicted_ms)
