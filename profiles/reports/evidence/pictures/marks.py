"""What the pictures of a study share: bars, boxes, scales in points, and tables of drops."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from exporter.evidence.evidence import DEFAULT_MIN_DATASETS, show_blocks
from profiles.evidence.combining.combination import Combination
from profiles.evidence.comparing.summary import Summary
from profiles.reports.pictures.palette import BLUE, INK, MUTED, PAPER, SKY, style

DROP = "drop of accuracy, points"
ROW = 0.21  # inches for a bar across
BINS = 24
FEWEST_ROWS = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One bar across: what it is of, its length in points, the spread on both sides (0: none) and what stands behind
    it."""

    label: str
    value: float
    spread: float = 0.0
    note: str = ""
    color: str = BLUE
    hollow: bool = False


def bars(axes: Axes, found: Sequence[Bar], *, label: str = DROP) -> None:
    """Bars across, the first at the top, with their spreads as lines and notes in a column at the right."""
    for place, bar in enumerate(found):
        face = PAPER if bar.hollow else bar.color
        axes.barh(place, bar.value, height=0.66, facecolor=face, edgecolor=bar.color, linewidth=1.0)
        if bar.spread:
            ends = [bar.value - bar.spread, bar.value + bar.spread]
            axes.plot(ends, [place, place], color=INK, linewidth=0.9, marker="|", markersize=4)
    axes.set_yticks(range(len(found)), [bar.label for bar in found])
    axes.set_ylim(max(len(found), FEWEST_ROWS) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.set_xlabel(label)
    if any(bar.note for bar in found):
        for place, bar in enumerate(found):
            axes.text(1.01, place, bar.note, transform=axes.get_yaxis_transform(), va="center", ha="left", color=MUTED)


def ranked(one: Combination, datasets: int) -> Bar:
    """A combination as a bar: full for all data sets, lighter for some, hollow for fewer than three."""
    everywhere = one.count == datasets
    return Bar(
        label=show_blocks(one.removed),
        value=100 * one.mean,
        spread=100 * one.std,
        note=str(one.count),
        color=BLUE if everywhere else SKY,
        hollow=one.count < min(DEFAULT_MIN_DATASETS, datasets),
    )


def boxes(axes: Axes, groups: Sequence[tuple[str, Sequence[float]]], *, label: str = DROP) -> None:
    """A box for each group of drops (fractions), the first at the top: quartiles, median, 5th and 95th percentile, and
    what lies beyond as dots."""
    full = [(name, [100 * value for value in values]) for name, values in groups if values]
    if full:
        line = {"color": INK, "linewidth": 0.9}
        parts = axes.boxplot(
            [values for _, values in full],
            orientation="horizontal",
            whis=(5, 95),
            widths=0.6,
            patch_artist=True,
            medianprops={"color": INK, "linewidth": 2.2},
            whiskerprops=line,
            capprops=line,
            flierprops={"marker": ".", "markersize": 2.5, "markerfacecolor": MUTED, "markeredgecolor": MUTED},
        )
        for number, box in enumerate(parts["boxes"]):
            box.set(facecolor=style(number).color, edgecolor=INK, alpha=0.75, linewidth=0.8)
    axes.set_yticks(range(1, len(full) + 1), [f"{name} ({len(values)})" for name, values in full])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(label)


def cells(summary: Summary | None) -> tuple[str, ...]:
    """A summary as cells: count, mean, spread, least, median, most, in points."""
    if summary is None:
        return ("0", *["–"] * 5)
    values = (summary.mean, summary.std, summary.least, summary.median, summary.most)
    return str(summary.count), *map(points, values)


SUMMARY_HEADS = ("combinations", "mean, points", "spread, points", "least", "median", "most")


def points(fraction: float | None) -> str:
    """A fraction in points with two decimals; a dash for None."""
    return "–" if fraction is None else f"{100 * fraction + 0.0:.2f}".replace("-", "−")
