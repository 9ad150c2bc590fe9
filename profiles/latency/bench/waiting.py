"""How long other programs keep this one waiting for a processor, as Linux counts it."""

from pathlib import Path

_THREADS, _FILE = Path("/proc/self/task"), "schedstat"


def waited_s() -> float | None:
    """Seconds that the threads of this process have been ready but not running, in all (proc(5), sched-stats); None
    where the system does not tell."""
    if not (_THREADS.parent / _FILE).exists():
        return None
    nanoseconds = 0
    for thread in _THREADS.iterdir():
        try:
            nanoseconds += int((thread / _FILE).read_text().split()[1])
        except (FileNotFoundError, ProcessLookupError):  # the thread has ended
            continue
    return nanoseconds / 1e9
