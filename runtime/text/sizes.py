"""Numbers of bytes and parameters as people read them."""

from collections.abc import Sequence


def show_bytes(count: int) -> str:
    """A number of bytes in decimal units with three digits: `28.9 GB`, `512 B`."""
    return _scaled(count, ("B", "kB", "MB", "GB", "TB", "PB"))


def show_count(count: int) -> str:
    """A number of parameters with three digits: `7.22 B`, `419 M`, `84`."""
    return _scaled(count, ("", "k", "M", "B", "T"))


def _scaled(count: int, units: Sequence[str]) -> str:
    value, unit = float(count), 0
    while value >= 999.5 and unit + 1 < len(units):
        value, unit = value / 1000, unit + 1
    digits = 0 if unit == 0 or value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f} {units[unit]}".rstrip()
