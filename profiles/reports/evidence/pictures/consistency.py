"""Figure 5: how much a combination's drop differs between data sets."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from exporter.evidence.evidence import show_blocks
from profiles.evidence.comparing.consistency import Consistency
from profiles.evidence.comparing.overview import Overview
from profiles.reports.evidence.pictures.marks import BINS, ROW, Bar, bars, points
from profiles.reports.pictures.canvas import Canvas, legend_above
from profiles.reports.pictures.chart import Chart, Table, head
from profiles.reports.pictures.numbers import digits, quantile
from profiles.reports.pictures.palette import BLUE, SKY, style

SHOWN = 15
WIDEST = 3.0


def consistency_chart(overview: Overview) -> Chart | None:
    """Coefficients of variation of the candidates; None where there is none."""
    found = overview.consistencies
    if not found:
        return None
    best, middle = found[0], quantile([one.variation for one in found], 0.5)
    told = f"median {digits(middle)}; least {digits(best.variation)}, of {show_blocks(best.combination.removed)}"
    rows = tuple(
        (
            show_blocks(one.combination.removed),
            digits(one.variation),
            points(one.combination.mean),
            points(one.combination.std),
            str(one.combination.count),
        )
        for one in found
    )
    numbers = ("CV", "mean drop, points", "spread, points", "data sets")
    return Chart(
        name="consistency_analysis",
        title="Consistency over data sets",
        caption="The coefficient of variation (CV) is the standard deviation of a combination's drop over data sets, "
        "over its "
        f"mean; low is consistent: {told}. On two data sets a low CV may be chance. Values above {WIDEST:g} stand at "
        f"{WIDEST:g}.",
        alt=f"A histogram of coefficients of variation, a scatter plot over the number of data sets, and the most "
        f"consistent "
        f"combinations: {told}.",
        table=Table(columns=(head("removed", right=False), *map(head, numbers)), rows=rows),
        draw=lambda canvas: _draw(canvas, found, len(overview.study.datasets)),
    )


def _draw(canvas: Canvas, found: Sequence[Consistency], datasets: int) -> Figure:
    figure, panels = canvas.panels(3, height=0.9 + ROW * SHOWN)
    values = [min(one.variation, WIDEST) for one in found]
    panels[0].hist(values, bins=BINS, color=BLUE, edgecolor="white", linewidth=0.5)
    panels[0].set_xlabel("CV")
    panels[0].set_ylabel("combinations")
    for number, size in enumerate(sorted({len(one.combination.removed) for one in found})):
        chosen = [one for one in found if len(one.combination.removed) == size]
        look = style(number)
        panels[1].plot(
            [one.combination.count + (number - 1.5) * 0.12 for one in chosen],
            [min(one.variation, WIDEST) for one in chosen],
            linestyle="none",
            marker=look.marker,
            color=look.color,
            markersize=3.6,
            alpha=0.75,
            markeredgewidth=0,
            label=f"{size} removed",
        )
    panels[1].set_xlabel("data sets")
    panels[1].set_ylabel("CV")
    panels[1].set_xticks(sorted({one.combination.count for one in found}))
    shown = [
        Bar(
            label=show_blocks(one.combination.removed),
            value=one.variation,
            note=str(one.combination.count),
            color=BLUE if one.combination.count == datasets else SKY,
            hollow=one.combination.count < min(3, datasets),
        )
        for one in found[:SHOWN]
    ]
    bars(panels[2], shown, label="CV")
    for axes, title in zip(
        panels, ("Distribution", "CV and coverage", "Most consistent (right: data sets)"), strict=True
    ):
        axes.set_title(title)
    legend_above(figure, panels[1], columns=6 if canvas.columns > 1 else 2)
    return figure
