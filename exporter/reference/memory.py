"""How much memory a process may still take on this machine."""

import os
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_CGROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


def available_bytes() -> int:
    """Bytes of memory that can be taken without swapping, within the container's limit where there is one."""
    return min(
        [_system_bytes(), *(free for limit, used in _CGROUPS if (free := _cgroup_bytes(limit, used)) is not None)]
    )


def _system_bytes() -> int:
    try:
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _cgroup_bytes(limit: Path, used: Path) -> int | None:
    """What a control group still allows; None without one or without a limit. Its page cache counts as used, so this is
    on the low side."""
    try:
        allowed, taken = limit.read_text().strip(), used.read_text().strip()
    except OSError:
        return None
    return max(0, int(allowed) - int(taken)) if allowed.isdigit() and taken.isdigit() else None
