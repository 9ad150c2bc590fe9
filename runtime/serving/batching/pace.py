"""How soon there is room for a further request, judged by the answers so far."""

_WEIGHT = 0.1  # of the last answer in the mean
_LEAST_S = 0.1


class Pace:
    """The mean time of an answer from its begin, the last ones counting most."""

    def __init__(self, rows: int) -> None:
        """`rows` are answered together."""
        self._rows, self._mean_s = rows, 1.0

    def answered(self, seconds: float) -> None:
        """An answer took this from the begin of its prompt."""
        self._mean_s += _WEIGHT * (seconds - self._mean_s)

    def retry_after_s(self, waiting: int) -> float:
        """When those that wait now are answered, or begun at least."""
        return max(_LEAST_S, self._mean_s * (waiting + 1) / self._rows)
