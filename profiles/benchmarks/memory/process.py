"""The memory of this process, and of processes of their own."""

import subprocess
import sys
from collections.abc import Sequence

import psutil


def pss_bytes() -> int:
    """Bytes of this process's proportional set size, in which shared pages count once (Linux, proc(5)). Raises
    AttributeError where the system has none."""
    return int(psutil.Process().memory_full_info().pss)


def numbers_of(module: str, arguments: Sequence[str]) -> list[int]:
    """What `print_growth` of a module prints in a fresh process. Raises CalledProcessError when it fails; what it says
    about that stands on stderr."""
    child = f"import sys; from {module} import print_growth; print_growth(sys.argv[1:])"
    done = subprocess.run([sys.executable, "-c", child, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return [int(number) for number in done.stdout.split()]
