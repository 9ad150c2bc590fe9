"""This machine, as far as what runs on it depends on it, and where its user keeps what can be made again."""

import os
import platform
import re
from pathlib import Path

_PROCESSORS, _GPUS = Path("/proc/cpuinfo"), Path("/proc/driver/nvidia")


def processors() -> tuple[str, ...]:
    """The models of the processor and of the GPUs, with the GPUs' driver, as the system names them."""
    name = re.search(r"^model name\s*:\s*(.*)$", _text(_PROCESSORS), re.MULTILINE)
    cards = [_text(path) for path in sorted(_GPUS.glob("gpus/*/information"))]
    models = [found[1] for card in cards if (found := re.search(r"^Model:\s*(.*)$", card, re.MULTILINE))]
    driver = _text(_GPUS / "version").partition("\n")[0]
    all_of_them = (platform.machine(), name[1] if name else platform.processor(), *models, driver)
    return tuple(one for one in all_of_them if one)


def features() -> tuple[str, ...]:
    """The instruction sets and other features of the processor, as the system names them; none where it does not."""
    found = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", _text(_PROCESSORS), re.MULTILINE)
    return tuple(sorted(found[1].split())) if found else ()


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def cache_folder() -> Path:
    """trimoe's folder among the user's caches: the only place that asks the environment, as the XDG base directory
    specification wants it."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(given) if Path(given).is_absolute() else Path.home() / ".cache") / "trimoe"
