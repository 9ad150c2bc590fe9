"""How many answers may be in progress, and when to come again."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator
from statistics import median

from runtime.serving.http.api_error import ApiError

_REMEMBERED = 64


class Admission:
    """Counts answers in progress; refuses at once what is beyond the limit, and everything while the server drains.
    `stopped` is set when what is still in progress then must end."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._seconds: deque[float] = deque(maxlen=_REMEMBERED)
        self.in_progress = 0
        self.draining = False
        self.stopped = asyncio.Event()

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """A place for one answer. Raises ApiError."""
        if self.draining:
            raise ApiError(503, "the server is shutting down", code="shutting_down", retry_after_s=1)
        if self.in_progress >= self._most:
            said = f"{self.in_progress} requests are in progress, the limit is {self._most}"
            raise ApiError(429, said, code="too_many_requests", retry_after_s=self.retry_after_s)
        self.in_progress += 1
        try:
            yield
        finally:
            self.in_progress -= 1

    def took(self, seconds: float) -> None:
        """An answer ended after so long."""
        self._seconds.append(seconds)

    @property
    def retry_after_s(self) -> float:
        """When a place is likely to be free: the median time of the last answers."""
        return median(self._seconds) if self._seconds else 1.0
