"""Figure 1: the best combinations of each size, and figure 10: the same by the estimate over all data sets."""

from collections.abc import Iterable, Sequence

from matplotlib.figure import Figure

from exporter.evidence.evidence import show_blocks
from profiles.evidence.combining.combination import Combination, sizes
from profiles.evidence.combining.effects.estimate import LEVEL
from profiles.evidence.comparing.overview import Overview
from profiles.reports.evidence.pictures.marks import DROP, ROW, Bar, bars, points, ranked
from profiles.reports.pictures.canvas import Canvas
from profiles.reports.pictures.chart import Chart, Table, head
from profiles.reports.pictures.palette import BLUE, SKY
from runtime.text.counted import counted

SHOWN = 15


def rankings_chart(overview: Overview) -> Chart:
    """The combinations of least mean drop, a panel a number of removed blocks."""
    found = {size: _of(overview.candidates, size)[:SHOWN] for size in sizes(overview.candidates)}
    best = "; ".join(f"{size}: {show_blocks(one[0].removed)} {points(one[0].mean)}" for size, one in found.items())
    datasets = len(overview.study.datasets)
    return Chart(
        name="rankings_by_num_removed",
        title="Combinations by number of removed blocks",
        caption=f"The {SHOWN} combinations of each size with the least mean drop among those tried on two data sets "
        f"or more. "
        "Lines are ± one standard deviation over data sets; the number at the right says how many data sets. Full "
        "bars: "
        f"all {datasets}; light: three or more; hollow: fewer. Means over different data sets cannot be compared: "
        f"see the "
        f"estimates. Best by number removed: {best}.",
        alt=f"Bars of mean drops in points, a panel for each number of removed blocks. Best by number removed: {best}.",
        table=_table(found.values()),
        draw=lambda canvas: _draw(canvas, found, datasets),
    )


def _of(combinations: Sequence[Combination], size: int) -> tuple[Combination, ...]:
    return tuple(one for one in combinations if len(one.removed) == size)


def _table(groups: Iterable[Sequence[Combination]]) -> Table:
    rows = tuple(
        (show_blocks(one.removed), str(len(one.removed)), points(one.mean), points(one.std), str(one.count),
         ", ".join(one.drops))
        for group in groups
        for one in group
    )  # fmt: skip
    numbers = ("blocks removed", "mean drop, points", "spread, points", "data sets")
    return Table(columns=(head("removed", right=False), *map(head, numbers), head("tried on", right=False)), rows=rows)


def _draw(canvas: Canvas, found: dict[int, tuple[Combination, ...]], datasets: int) -> Figure:
    most = max((len(one) for one in found.values()), default=1)
    figure, panels = canvas.panels(len(found) or 1, height=0.9 + ROW * max(most, 4), columns=2)
    for axes, (size, combinations) in zip(panels, found.items(), strict=False):
        bars(axes, [ranked(one, datasets) for one in combinations])
        axes.set_title(f"{counted(size, 'block')} removed (right: data sets)")
    return figure


def estimates_chart(overview: Overview) -> Chart:
    """The combinations of least estimated drop over all data sets, a panel a number of removed blocks."""
    estimates = overview.recommended.estimates
    known = {one.removed: one for one in overview.study.combinations}
    found = {
        size: sorted(
            (known[removed] for removed in estimates.places if len(removed) == size),
            key=lambda one: estimates.interval(one.removed)[0],
        )[:SHOWN]
        for size in sizes(known[removed] for removed in estimates.places)
    }
    best = "; ".join(
        f"{size}: {show_blocks(one[0].removed)} {points(estimates.interval(one[0].removed)[0])}"
        for size, one in found.items()
    )
    errors = overview.recommended.left_out
    rows = tuple(
        (show_blocks(one.removed), *map(points, estimates.interval(one.removed)), points(one.mean), str(one.count))
        for group in found.values()
        for one in group
    )
    numbers = ("estimate, points", "low", "high", "measured mean, points", "data sets")
    return Chart(
        name="estimates_over_all",
        title="Estimated drop over all data sets",
        caption=f"The {SHOWN} combinations of each size whose mean drop over all data sets is estimated to be least, "
        f"with "
        f"intervals of {100 * LEVEL:.0f} %, from effects of data sets, blocks and pairs of blocks. Full bars were "
        f"tried on "
        "three data sets or more; the number at the right says on how many. A drop left out of the model is missed by "
        f"{points(errors.drop_mae)} points on average. Best by number removed: {best}.",
        alt=f"Bars of estimated drops with intervals. Best by number removed: {best}.",
        table=Table(columns=(head("removed", right=False), *map(head, numbers)), rows=rows),
        draw=lambda canvas: _draw_estimates(canvas, found, overview),
    )


def _draw_estimates(canvas: Canvas, found: dict[int, list[Combination]], overview: Overview) -> Figure:
    estimates, datasets = overview.recommended.estimates, len(overview.study.datasets)
    most = max((len(one) for one in found.values()), default=1)
    figure, panels = canvas.panels(len(found), height=0.9 + ROW * max(most, 4), columns=2)
    for axes, (size, combinations) in zip(panels, found.items(), strict=True):
        shown = []
        for one in combinations:
            mean, low, _ = estimates.interval(one.removed)
            shown.append(
                Bar(
                    label=show_blocks(one.removed),
                    value=100 * mean,
                    spread=100 * (mean - low),
                    note=str(one.count),
                    color=BLUE if one.count == datasets else SKY,
                    hollow=one.count < min(3, datasets),
                )
            )
        bars(axes, shown, label=f"{DROP}, estimated")
        axes.set_title(f"{counted(size, 'block')} removed (right: data sets)")
    return figure
