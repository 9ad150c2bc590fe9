"""Numbers as tables and captions show them."""

import math


def digits(value: float, count: int = 3) -> str:
    """A number with `count` significant digits, never with an exponent: `0.00348`, `12.5`, `1230`."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    exponent = int(f"{value:.{count - 1}e}".partition("e")[2])  # of the rounded number
    places = count - 1 - exponent
    return f"{round(value, places):.{max(places, 0)}f}"


def percent(share: float, *, sign: bool = False) -> str:
    """A share in percent with one decimal, `3.1 %`."""
    rounded = round(100 * share, 1) + 0.0  # no negative zero
    return f"{rounded:{'+' if sign else ''}.1f} %".replace("-", "−")


def spread_out(values: list[int], most: int) -> list[int]:
    """At most `most` of the values, evenly spread, with the first and the last."""
    if len(values) <= most:
        return values
    return [values[round(index * (len(values) - 1) / (most - 1))] for index in range(most)]


def quantile(values: list[float], share: float) -> float:
    """The value below which that share of the values lies, interpolated. Raises ValueError for none."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])
