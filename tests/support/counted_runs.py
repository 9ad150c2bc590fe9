"""A progress that counts blocks run, and ends the work as a kill would."""

import math


class Runs:
    """Counts blocks run; ends the work as a kill would, after `limit`."""

    def __init__(self, limit: float = math.inf) -> None:
        self.count, self._limit = 0, limit

    def begin(self, name: str, runs: int) -> None: ...

    def ran(self) -> None:
        self.count += 1
        if self.count > self._limit:
            raise KeyboardInterrupt

    def end(self) -> None: ...
