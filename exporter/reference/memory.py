"""How much memory a process may still take on this machine."""

from pathlib import Path

import psutil

_CGROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


def available_bytes() -> int:
    """Bytes of memory that can be taken without swapping, within the container's limit where there is one: psutil reads
    the system's figures, the files of control groups (v2, v1) the container's."""
    limits = (_cgroup_bytes(limit, used) for limit, used in _CGROUPS)
    return min([int(psutil.virtual_memory().available), *(free for free in limits if free is not None)])


def _cgroup_bytes(limit: Path, used: Path) -> int | None:
    """What a control group still allows; None without one or without a limit. Its page cache counts as used, so this is
    on the low side."""
    try:
        allowed, taken = limit.read_text().strip(), used.read_text().strip()
    except OSError:
        return None
    return max(0, int(allowed) - int(taken)) if allowed.isdigit() and taken.isdigit() else None
