"""How much longer answers take than an estimator predicts, learned from outcomes, within bounds."""

import math
import time
from collections.abc import Callable, Iterator

from runtime.serving.forecasting.fading import Fading

FIRST_TOKEN, DECODE = "first_token", "decode"
PARTS = (FIRST_TOKEN, DECODE)
"""The parts of an answer that are predicted and corrected apart: until the first token, and all further tokens."""
LEAST, MOST = 0.5, 3.0
HALF_LIFE_S = 60.0
_SHARE = 0.05  # of a surprise that is learned, once there are enough outcomes
_SURPRISE = math.log(1.5)  # at most this much of an outcome is believed: a stalled machine is not a slower one


class Drift:
    """The ratio of actual to predicted milliseconds of each part: an exponential average of its logarithm, in which a
    single outcome counts little however far it lies, and which stays within LEAST–MOST and fades
    while none come."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """As predicted, until outcomes say otherwise; `clock` is in seconds."""
        self._fading = {part: Fading(clock, half_life_s=HALF_LIFE_S) for part in PARTS}
        self._logs = dict.fromkeys(PARTS, 0.0)
        self._counts = dict.fromkeys(PARTS, 0)

    def ratio(self, part: str) -> float:
        """What a prediction of the part is multiplied by."""
        return math.exp(self._logs[part] * self._fading[part].left)

    def __iter__(self) -> Iterator[tuple[str, float]]:
        """Every part with its ratio."""
        return ((part, self.ratio(part)) for part in PARTS)

    def count(self, part: str) -> int:
        """How many outcomes it was learned from."""
        return self._counts[part]

    def observe(self, part: str, *, actual_ms: float, predicted_ms: float) -> None:
        """Learn from an outcome; `predicted_ms` is the estimator's, not corrected. What is not above zero teaches
        nothing."""
        if not (0 < actual_ms < math.inf and 0 < predicted_ms < math.inf):
            return
        self._logs[part] *= self._fading[part].renew()
        count = self._counts[part] = self._counts[part] + 1
        surprise = math.log(actual_ms / predicted_ms) - self._logs[part]
        learned = max(_SHARE, 0.5 / count) * min(max(surprise, -_SURPRISE), _SURPRISE)
        self._logs[part] = min(max(self._logs[part] + learned, math.log(LEAST)), math.log(MOST))
