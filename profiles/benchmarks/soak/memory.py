"""Whether a process grows: what it takes at rest, again and again, once it was warm."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from profiles.benchmarks.soak.server_process import Usage

RESTS = (0.3, 0.475, 0.65, 0.825, 1.0)  # shares of the time at which everything rests, the first when all is warm
MOST_GROWTH = 0.02  # of its memory
MORE_THREADS, MORE_FILES = 1, 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """What a process took at its first two rests and at its last two, in the mean: bytes, threads, open files."""

    bytes: tuple[float, float]
    threads: tuple[float, float]
    files: tuple[float, float]

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


def growth(rests: Sequence[Usage]) -> Growth:
    """Of what was seen at rest, in order. Raises ValueError for fewer than four."""
    if len(rests) < 4:
        raise ValueError(f"{len(rests)} rests are too few to tell whether it grows")
    return Growth(bytes=_ends(rests, "bytes"), threads=_ends(rests, "threads"), files=_ends(rests, "files"))


def _ends(usages: Sequence[Usage], field: str) -> tuple[float, float]:
    values = [float(getattr(one, field)) for one in usages]
    return statistics.mean(values[:2]), statistics.mean(values[-2:])
