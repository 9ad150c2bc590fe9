"""Figure 4: combinations against the sum of their parts."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from exporter.evidence.evidence import show_blocks
from profiles.evidence.comparing.overview import Overview
from profiles.evidence.comparing.parts import Parts
from profiles.reports.evidence.pictures.marks import BINS, ROW, Bar, bars, points
from profiles.reports.pictures.canvas import MANY_MARKS, Canvas, legend_above, rasterize
from profiles.reports.pictures.chart import Chart, Table, head
from profiles.reports.pictures.palette import BLUE, MUTED, VERMILLION, style

SHOWN = 10


def parts_chart(overview: Overview) -> Chart | None:
    """What combinations lose beyond the sum of their blocks; None where no combination of several was tried."""
    found = overview.parts
    if not found:
        return None
    synergies = sum(one.excess < 0 for one in found)
    least, most = found[0], found[-1]
    told = (
        f"{synergies} of {len(found)} lose less than the sum of their parts (synergy), {len(found) - synergies} as "
        f"much or "
        f"more (antagonism); from {show_blocks(least.combination.removed)} {_signed(least.excess)} to "
        f"{show_blocks(most.combination.removed)} {_signed(most.excess)} points"
    )
    rows = tuple(
        (
            show_blocks(one.combination.removed),
            points(one.together),
            points(one.alone),
            _signed(one.excess),
            _signed(one.excess_as_studied),
            str(len(one.datasets)),
        )
        for one in found
    )
    numbers = ("together, points", "sum of parts", "beyond", "beyond, the study's way", "data sets")
    return Chart(
        name="combination_vs_individual",
        title="Combinations against the sum of their parts",
        caption=f"Drop of a combination over the sum of the drops of its blocks alone, on the same data sets: "
        f"{told}. The "
        "study's way sums drops over all data sets, whatever the combination was tried on; the table has both.",
        alt=f"A scatter plot of drops over sums of parts, a histogram of the difference, and bars of both ends: "
        f"{told}.",
        table=Table(columns=(head("removed", right=False), *map(head, numbers)), rows=rows),
        draw=lambda canvas: _draw(canvas, found),
    )


def _signed(fraction: float) -> str:
    return f"{100 * fraction + 0.0:+.2f}".replace("-", "−")


def _draw(canvas: Canvas, found: Sequence[Parts]) -> Figure:
    figure, panels = canvas.panels(4, height=0.9 + ROW * SHOWN, columns=2)
    _scatter(panels[0], found)
    panels[1].hist([100 * one.excess for one in found], bins=BINS, color=BLUE, edgecolor="white", linewidth=0.5)
    panels[1].axvline(0, color=MUTED, linewidth=1.0)
    panels[1].set_xlabel("drop beyond the sum of parts, points")
    panels[1].set_ylabel("combinations")
    for axes, chosen, color, hollow in (
        (panels[2], [one for one in found if one.excess < 0][:SHOWN], BLUE, False),
        (panels[3], [one for one in found[::-1] if one.excess > 0][:SHOWN], VERMILLION, True),
    ):
        shown = [
            Bar(
                label=show_blocks(one.combination.removed),
                value=100 * one.excess,
                note=str(len(one.datasets)),
                color=color,
                hollow=hollow,
            )
            for one in chosen
        ]
        bars(axes, shown, label="drop beyond the sum of parts, points")
    titles = ("Together over alone", "Difference", "Most synergy (right: data sets)", "Most antagonism")
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title)
    legend_above(figure, panels[0], columns=4)
    return figure


def _scatter(axes: Axes, found: Sequence[Parts]) -> None:
    values = [100 * value for one in found for value in (one.together, one.alone)]
    low, high = min(values), max(values)
    axes.plot([low, high], [low, high], color=MUTED, linewidth=0.9)
    for number, size in enumerate(sorted({len(one.combination.removed) for one in found})):
        chosen = [one for one in found if len(one.combination.removed) == size]
        look = style(number)
        axes.plot(
            [100 * one.alone for one in chosen],
            [100 * one.together for one in chosen],
            linestyle="none",
            marker=look.marker,
            color=look.color,
            markersize=3.6,
            markeredgewidth=0,
            alpha=0.75,
            label=f"{size} blocks",
        )
    if len(found) > MANY_MARKS:
        rasterize(axes)
    axes.set_xlabel("sum of the parts, points")
    axes.set_ylabel("drop together, points")
