"""Whether a process grows: the rise of what it takes at rest, again and again, once it was warm."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from profiles.benchmarks.soak.server_process import Usage

WARM_SHARE = 0.3  # of the time, at which everything rests for the first time
REST_EVERY_S = 45.0
FEWEST = 6
MOST_GROWTH = 0.02  # of its memory
MORE_THREADS, MORE_FILES = 4, 2  # pools of threads fill as requests happen to need them


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """What a line through all rests says of the first and the last of them: bytes, threads, open files."""

    bytes: tuple[float, float]
    threads: tuple[float, float]
    files: tuple[float, float]

    @property
    def memory(self) -> float:
        """Growth of the memory from the first rest to the last, as a share."""
        first, last = self.bytes
        return last / first - 1

    @property
    def flat(self) -> bool:
        """Whether nothing grows."""
        more = self.threads[1] - self.threads[0], self.files[1] - self.files[0]
        return self.memory <= MOST_GROWTH and more[0] <= MORE_THREADS and more[1] <= MORE_FILES


def rest_times(seconds: float) -> list[float]:
    """The moments of a soak of so many seconds at which it rests: the last one at its end."""
    count = max(FEWEST, int((1 - WARM_SHARE) * seconds / REST_EVERY_S))
    return [seconds * (WARM_SHARE + (1 - WARM_SHARE) * place / (count - 1)) for place in range(count)]


def growth(rests: Sequence[Usage]) -> Growth:
    """Of what was seen at rest, in order. Raises ValueError for fewer than six."""
    if len(rests) < FEWEST:
        raise ValueError(f"{len(rests)} rests are too few to tell whether it grows")
    return Growth(bytes=_line(rests, "bytes"), threads=_line(rests, "threads"), files=_line(rests, "files"))


def _line(rests: Sequence[Usage], field: str) -> tuple[float, float]:
    """Begin and end of a line whose slope is the median of those between any two rests (Sen, Journal of the American
    Statistical Association 63, 1968): a rest at which freed memory is not yet given back does not tilt it."""
    points = [(one.at_s, float(getattr(one, field))) for one in rests]
    slope = statistics.median((later[1] - one[1]) / (later[0] - one[0]) for one, later in combinations(points, 2))
    level = statistics.median(value - slope * at_s for at_s, value in points)
    return level + slope * points[0][0], level + slope * points[-1][0]
