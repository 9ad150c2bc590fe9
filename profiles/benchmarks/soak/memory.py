"""Whether a process grows: what it takes at rest, again and again, once it was warm."""

from collections.abc import Sequence
from dataclasses import dataclass

from profiles.benchmarks.soak.server_process import Usage

WARM_SHARE = 0.3  # of the time, at which everything rests for the first time
REST_EVERY_S = 45.0
FEWEST = 4
MOST_GROWTH = 0.02  # of its memory
MORE_THREADS, MORE_FILES = 4, 2  # pools of threads fill as requests happen to need them


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """The least that a process took at the first half of its rests and at the second: bytes, threads, open files. What
    is freed and not yet given back comes on top, now more, now less; what leaks never goes away."""

    bytes: tuple[int, int]
    threads: tuple[int, int]
    files: tuple[int, int]

    @property
    def memory(self) -> float:
        """Growth of the memory, as a share."""
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
    """Of what was seen at rest, in order. Raises ValueError for fewer than four."""
    if len(rests) < FEWEST:
        raise ValueError(f"{len(rests)} rests are too few to tell whether it grows")
    return Growth(bytes=_least(rests, "bytes"), threads=_least(rests, "threads"), files=_least(rests, "files"))


def _least(usages: Sequence[Usage], field: str) -> tuple[int, int]:
    values = [getattr(one, field) for one in usages]
    half = len(values) // 2
    return min(values[:half]), min(values[-half:])
