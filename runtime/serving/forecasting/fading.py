"""What was learned fades while no outcomes come, since requests that it refuses bring none."""

from collections.abc import Callable

REST_S = 3.0  # without outcomes, in which nothing fades


class Fading:
    """How much of what was learned is left, by a clock in seconds."""

    def __init__(self, clock: Callable[[], float], *, half_life_s: float) -> None:
        """Half is left `half_life_s` after REST_S without an outcome."""
        self._clock, self._half_life_s, self._last = clock, half_life_s, clock()

    @property
    def left(self) -> float:
        """The share that is left now, 0–1."""
        return float(0.5 ** (max(self._clock() - self._last - REST_S, 0.0) / self._half_life_s))

    def renew(self) -> float:
        """An outcome came: the share that was left until now."""
        left, self._last = self.left, self._clock()
        return left
