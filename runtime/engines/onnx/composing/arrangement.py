"""The order of rows of several variants in their buffers: in ranges that run side by side, each with its share of every
variant, and within each the rows of a variant side by side. Pure."""

from collections import defaultdict
from collections.abc import Mapping
from itertools import accumulate

Kind = tuple[str, ...]  # what rows of one variant have in common; those that are alike come next to each other


def bounds(rows: int, ranges: int) -> list[int]:
    """Where so many ranges of rows begin, and the last one ends."""
    return [0, *accumulate((rows + place) // ranges for place in range(ranges))]


def arranged(rows: Mapping[int, Kind], ranges: int) -> list[int]:
    """The places in `rows`, which says of what kind the row at each place is, in the order in which they should stand.
    A row stays at its place where a row of its kind belongs there."""
    ordered, count = sorted(rows.values()), len(rows)
    wanted = [kind for first in range(ranges - 1, -1, -1) for kind in ordered[first::ranges]]
    waiting: dict[Kind, list[int]] = defaultdict(list)
    for place, kind in rows.items():
        if place >= count or wanted[place] != kind:
            waiting[kind].append(place)
    return [place if rows.get(place) == kind else waiting[kind].pop() for place, kind in enumerate(wanted)]
