"""Errors by the number of measured cells, as an SVG picture: logarithmic axes, a line and a mark for each way. Pure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from profiles.benchmarks.estimators import Row

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 400, 64, 96, 48, 56
# Colours that differ for colour-blind readers too (Okabe and Ito 2008), each with a mark and dashes of its own.
STYLES = (("#0072B2", "circle", ""), ("#D55E00", "square", "7 4"), ("#009E73", "triangle", "2 4"))
TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Axis:
    """Positions on a logarithmic axis from `low` to `high`, drawn from `begin` to `end`."""

    low: float
    high: float
    begin: float
    end: float

    def at(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.begin + share * (self.end - self.begin)


def error_picture(rows: Sequence[Row], title: str) -> str:
    """The picture of errors in percent. Raises ValueError for fewer than two rows."""
    if len(rows) < 2:
        raise ValueError("a line needs two numbers of cells")
    errors = [100 * error for row in rows for error in row.errors.values()]
    low, high = max(one for one in TICKS if one < min(errors)), min(one for one in TICKS if one > max(errors))
    across = _Axis(low=rows[0].cells, high=rows[-1].cells, begin=LEFT, end=WIDTH - RIGHT)
    up = _Axis(low=low, high=high, begin=HEIGHT - BOTTOM, end=TOP)
    parts = [*_frame(title), *_grid(rows, across, up)]
    for name, style in zip(rows[0].errors, STYLES, strict=True):
        places = [(across.at(row.cells), up.at(100 * row.errors[name])) for row in rows]
        parts += _line(name, places, style)
    return "\n".join([*parts, "</svg>", ""])


def _frame(title: str) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="13" fill="#222222" role="img">'
    )
    yield f"<title>{escape(title)}</title>"
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    yield f'<text x="{LEFT}" y="18" font-size="15">Error of predicted answers, percent</text>'
    yield f'<text x="{LEFT}" y="36" fill="#555555">{escape(title)}</text>'
    yield (
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">measured cells fitted to</text>'
    )


def _grid(rows: Sequence[Row], across: _Axis, up: _Axis) -> Iterator[str]:
    for tick in (one for one in TICKS if up.low <= one <= up.high):
        y = up.at(tick)
        yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#dddddd"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
    for row in rows:
        x = across.at(row.cells)
        yield f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{row.cells}</text>'


def _line(name: str, places: Sequence[tuple[float, float]], style: tuple[str, str, str]) -> Iterator[str]:
    colour, mark, dashes = style
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"/>'
    for x, y in places:
        yield _mark(mark, x, y, colour)
    x, y = places[-1]
    yield f'<text x="{x + 10:.1f}" y="{y + 4:.1f}" fill="{colour}" font-weight="bold">{escape(name)}</text>'


def _mark(mark: str, x: float, y: float, colour: str) -> str:
    if mark == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>'
    if mark == "square":
        return f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="{colour}"/>'
    return f'<path d="M{x:.1f} {y - 5:.1f}l5.5 9h-11z" fill="{colour}"/>'
