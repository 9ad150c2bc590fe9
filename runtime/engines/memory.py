"""How much memory a process may still take on this machine, and giving back what it no longer needs."""

import ctypes
import gc
import sys
from pathlib import Path

from runtime.errors import MissingPackageError

_MEMINFO = Path("/proc/meminfo")
_CGROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


def available_bytes() -> int:
    """Bytes of memory that can be taken without swapping, within the container's limit where there is one: Linux's own
    figure (psutil's elsewhere), and the files of control groups (v2, v1). Raises MissingPackageError where psutil is
    needed and missing."""
    limits = (_cgroup_bytes(limit, used) for limit, used in _CGROUPS)
    return min([_system_bytes(), *(free for free in limits if free is not None)])


def give_back() -> None:
    """Return memory that was freed to the system: glibc keeps it otherwise, in parts for each thread, and what is taken
    next by another thread comes on top."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:  # it is glibc's alone
            trim(0)


def _system_bytes() -> int:
    """What the system has."""
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:
        return _psutil_bytes()
    found = {name: value for name, _, value in (line.partition(":") for line in lines)}
    return int(found["MemAvailable"].removesuffix("kB")) << 10


def _psutil_bytes() -> int:
    try:
        import psutil
    except ImportError as error:
        raise MissingPackageError.of(error, needed_by="finding out how much memory is free", extras="export") from error
    return int(psutil.virtual_memory().available)


def _cgroup_bytes(limit: Path, used: Path) -> int | None:
    """What a control group still allows; None without one or without a limit. What it keeps of files can be dropped, so
    it counts as free where the group says how much that is."""
    try:
        allowed, taken = limit.read_text().strip(), used.read_text().strip()
    except OSError:
        return None
    if not (allowed.isdigit() and taken.isdigit()):
        return None
    return max(0, int(allowed) - max(0, int(taken) - _cached_bytes(limit.parent / "memory.stat")))


def _cached_bytes(stat: Path) -> int:
    """The bytes of files that a control group keeps in memory; 0 where it does not say."""
    try:
        found = dict(line.split() for line in stat.read_text().splitlines())
    except (OSError, ValueError):
        return 0
    return sum(int(found.get(name, 0)) for name in ("inactive_file", "active_file"))
