"""A picture before it is drawn: what it is called, what it says in words, the table behind it, and how to draw it."""

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from profiles.reports.pictures.canvas import Canvas
from runtime.text.tables import Column


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Heads and cells as text; `note` says what was left out (empty: nothing)."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """`name` is that of its files; `alt` says what it shows to who does not see it, `caption` what to see in it,
    `notes` what was assumed, `source` on what and when it was measured."""

    name: str
    title: str
    caption: str
    alt: str
    table: Table
    draw: Callable[[Canvas], Figure]
    notes: tuple[str, ...] = ()
    source: str = ""


def head(text: str, *, right: bool = True) -> Column:
    """The head of a column of numbers, or of texts."""
    return Column(head=text, right=right)
