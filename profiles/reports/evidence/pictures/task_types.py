"""Figures 2 and 9: what kinds of tasks lose how much, altogether and by number of removed blocks."""

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from profiles.evidence.comparing.overview import Overview
from profiles.evidence.comparing.summary import Summary
from profiles.evidence.comparing.task_types import TaskType
from profiles.reports.evidence.pictures.marks import DROP, SUMMARY_HEADS, boxes, cells, points
from profiles.reports.pictures.canvas import Canvas, legend_above
from profiles.reports.pictures.chart import Chart, Table, head
from profiles.reports.pictures.palette import BLUE, ORANGE, style

HOW = (
    "overall: mean drops of the candidates that were tried on a data set of the type, whatever the others were (the "
    "study's rule); own: the drops on these data sets alone, without block 0"
)


def task_types_chart(overview: Overview) -> Chart:
    """Drops by task type: means, distributions, spreads, numbers of combinations."""
    found = overview.task_types
    told = ", ".join(f"{one.name} {points(one.own.mean)}" for one in _by_own(found) if one.own)
    rows = tuple(
        (one.name, ", ".join(one.datasets), how, *cells(summary))
        for one in found
        for how, summary in (("overall", one.overall), ("own", one.own))
    )
    return Chart(
        name="task_type_comparison",
        title="Task types",
        caption=f"{HOW[0].upper()}{HOW[1:]}. Mean drop on own data sets, the least first: {told} points. Boxes: "
        f"quartiles "
        "and median of own drops, whiskers from the 5th to the 95th percentile, numbers of drops in brackets.",
        alt=f"Four panels by task type: mean drop, distribution, spread, number of combinations. Own means: {told} "
        f"points.",
        table=Table(
            columns=(*(head(text, right=False) for text in ("type", "data sets", "drops")), *map(head, SUMMARY_HEADS)),
            rows=rows,
        ),
        draw=lambda canvas: _draw(canvas, overview),
    )


def _by_own(found: Sequence[TaskType]) -> list[TaskType]:
    return sorted((one for one in found if one.own), key=lambda one: one.own.mean if one.own else 0.0)


def _draw(canvas: Canvas, overview: Overview) -> Figure:
    found = overview.task_types
    figure, panels = canvas.panels(4, height=max(2.2, 0.9 + 0.42 * len(found)), columns=2)
    _paired(panels[0], found, lambda one: 100 * one.mean, f"mean {DROP}")
    tried = overview.study.combinations
    own = [
        (
            one.name,
            [
                drop.drops[name]
                for drop in tried
                if drop.removed and 0 not in drop.removed
                for name in one.datasets
                if name in drop.drops
            ],
        )
        for one in found
    ]
    boxes(panels[1], own, label=f"own {DROP}")
    _paired(panels[2], found, lambda one: 100 * one.std, "standard deviation, points")
    _paired(panels[3], found, lambda one: one.count, "drops counted")
    for axes, title in zip(panels, ("Mean drop", "Distribution", "Spread", "How many"), strict=True):
        axes.set_title(title)
    legend_above(figure, panels[0], columns=2)
    return figure


def _paired(axes: Axes, found: Sequence[TaskType], value: Callable[[Summary], float], label: str) -> None:
    """Two bars a type: overall and own."""
    for shift, color, name in ((-0.19, BLUE, "overall"), (0.19, ORANGE, "own")):
        summaries = [one.overall if name == "overall" else one.own for one in found]
        lengths = [0.0 if summary is None else value(summary) for summary in summaries]
        hatch = "" if name == "overall" else "///"
        places = [place + shift for place in range(len(found))]
        axes.barh(places, lengths, height=0.36, color=color, label=name, hatch=hatch, edgecolor="white", linewidth=0)
    axes.set_yticks(range(len(found)), [one.name for one in found])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(label)


def detailed_chart(overview: Overview) -> Chart:
    """Drops by task type and number of removed blocks: means, spreads, numbers, medians."""
    found = overview.task_types
    rows = tuple(
        (one.name, str(size), how, *cells(summary))
        for one in found
        for size, pair in one.by_size.items()
        for how, summary in zip(("overall", "own"), pair, strict=True)
    )
    columns = (head("type", right=False), head("blocks removed"), head("drops", right=False), *map(head, SUMMARY_HEADS))
    sizes = sorted({size for one in found for size in one.by_size})
    return Chart(
        name="task_type_detailed_comparison",
        title="Task types by number of removed blocks",
        caption="Drops on the own data sets of each type, for each number of removed blocks. The table also has the "
        "study's "
        "way of counting, overall.",
        alt=f"Four line plots over the number of removed blocks ({', '.join(map(str, sizes))}), a line for each of "
        f"{len(found)} task types: mean drop, standard deviation, number of drops, median drop.",
        table=Table(columns=columns, rows=rows),
        draw=lambda canvas: _draw_detailed(canvas, found, sizes),
    )


def _draw_detailed(canvas: Canvas, found: Sequence[TaskType], sizes: Sequence[int]) -> Figure:
    wanted: tuple[tuple[str, str, Callable[[Summary], float]], ...] = (
        ("Mean drop", "points", lambda one: 100 * one.mean),
        ("Spread", "standard deviation, points", lambda one: 100 * one.std),
        ("How many", "drops", lambda one: one.count),
        ("Median drop", "points", lambda one: 100 * one.median),
    )
    figure, panels = canvas.panels(4, height=2.5, columns=2)
    for axes, (title, label, value) in zip(panels, wanted, strict=True):
        for number, one in enumerate(found):
            own = {size: pair[1] for size, pair in one.by_size.items() if pair[1] is not None}
            look = style(number)
            axes.plot(
                list(own),
                [value(summary) for summary in own.values()],
                color=look.color,
                linestyle=look.line,
                marker=look.marker,
                label=one.name,
            )
        axes.set_title(title)
        axes.set_ylabel(label)
        axes.set_xlabel("blocks removed")
        axes.set_xticks(sizes)
    legend_above(figure, panels[0], columns=6 if canvas.columns > 1 else 2)
    return figure
