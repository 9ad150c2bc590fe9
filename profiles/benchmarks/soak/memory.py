"""Whether a process grows: what it takes at the end beside what it took once it was warm."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from profiles.benchmarks.soak.server_process import Usage

WARM_SHARE = 0.3  # of the time, after which it may not grow any more
MOST_GROWTH = 0.02  # of its memory
MORE_THREADS, MORE_FILES = 2, 8  # what requests in progress take at one moment and not at another


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """Growth of the memory from the begin to the end of the warm time, as a share, by a line through it; threads and
    open files in the median of its first and its last third."""

    memory: float
    threads: tuple[float, float]
    files: tuple[float, float]
    bytes: float

    @property
    def flat(self) -> bool:
        """Whether nothing grows."""
        return (
            self.memory <= MOST_GROWTH
            and self.threads[1] - self.threads[0] <= MORE_THREADS
            and self.files[1] - self.files[0] <= MORE_FILES
        )


def growth(usages: Sequence[Usage]) -> Growth:
    """Of what was seen in quiet moments, in order. Raises ValueError for fewer than nine."""
    begin = usages[0].at_s + WARM_SHARE * (usages[-1].at_s - usages[0].at_s)
    warm = [one for one in usages if one.at_s >= begin]
    if len(warm) < 9:
        raise ValueError(f"{len(warm)} looks at the process are too few to tell whether it grows")
    fit = statistics.linear_regression([one.at_s for one in warm], [one.bytes for one in warm])
    mean, third = statistics.mean(one.bytes for one in warm), len(warm) // 3
    first, last = warm[:third], warm[-third:]
    return Growth(
        memory=fit.slope * (warm[-1].at_s - warm[0].at_s) / mean,
        threads=(_median(first, "threads"), _median(last, "threads")),
        files=(_median(first, "files"), _median(last, "files")),
        bytes=mean,
    )


def _median(usages: Sequence[Usage], field: str) -> float:
    return float(statistics.median(getattr(one, field) for one in usages))
