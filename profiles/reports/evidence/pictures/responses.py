"""Figure 6: how each data set responds, and figure 7: how drops are distributed."""

from typing import Any

from matplotlib.figure import Figure

from profiles.evidence.combining.combination import sizes
from profiles.evidence.comparing.overview import Overview
from profiles.evidence.comparing.summary import summarize
from profiles.reports.evidence.pictures.marks import BINS, DROP, SUMMARY_HEADS, Bar, bars, boxes, cells, points
from profiles.reports.pictures.canvas import Canvas
from profiles.reports.pictures.chart import Chart, Table, head
from profiles.reports.pictures.numbers import quantile
from profiles.reports.pictures.palette import BLUE, MUTED, style
from runtime.text.counted import counted


def _drops(overview: Overview, dataset: str) -> list[float]:
    tried = (one for one in overview.study.combinations if one.removed and 0 not in one.removed)
    return [one.drops[dataset] for one in tried if dataset in one.drops]


def responses_chart(overview: Overview) -> Chart:
    """Mean drop and distribution of each data set, grouped by task type."""
    order = [name for kind in overview.task_types for name in kind.datasets]
    found = {name: summarize(_drops(overview, name)) for name in order}
    ranked = sorted(((one.mean, name) for name, one in found.items() if one), reverse=True)
    told = (
        f"most sensitive {ranked[0][1]} ({points(ranked[0][0])} points), least {ranked[-1][1]} "
        f"({points(ranked[-1][0])})"
    )
    rows = tuple((name, overview.types[name], *cells(summary)) for name, summary in found.items())
    columns = (head("data set", right=False), head("type", right=False), *map(head, SUMMARY_HEADS))
    return Chart(
        name="dataset_responses",
        title="How each data set responds",
        caption=f"Drops of all combinations without block 0 that were tried on a data set: {told}. Data sets tried "
        f"different "
        "combinations, so that the means are not of the same ones. Lines are ± one standard deviation; violins show "
        "where "
        "drops lie, the line in them is the median.",
        alt=f"Bars of mean drops and violins of drops for {counted(len(order), 'data set')}: {told}.",
        table=Table(columns=columns, rows=rows),
        draw=lambda canvas: _draw(canvas, overview, order),
    )


def _draw(canvas: Canvas, overview: Overview, order: list[str]) -> Figure:
    figure, panels = canvas.panels(3, height=max(2.4, 0.8 + 0.34 * len(order)))
    kinds = [kind.name for kind in overview.task_types]
    colors = {name: style(kinds.index(overview.types[name])).color for name in order}
    found = [(name, summarize(_drops(overview, name))) for name in order]
    shown = [
        Bar(label=name, value=100 * one.mean, spread=100 * one.std, color=colors[name])
        for name, one in found
        if one is not None
    ]
    bars(panels[0], shown, label=f"mean {DROP}")
    values = [(name, [100 * drop for drop in _drops(overview, name)]) for name in order]
    full = [(name, drops) for name, drops in values if drops]
    parts = panels[1].violinplot(
        [drops for _, drops in full], orientation="horizontal", showmedians=True, showextrema=False, widths=0.85
    )
    bodies: Any = parts["bodies"]
    for body, (name, _) in zip(bodies, full, strict=True):
        body.set(facecolor=colors[name], edgecolor=colors[name], alpha=0.6)
    parts["cmedians"].set(color=MUTED, linewidth=1.6)
    panels[1].set_yticks(range(1, len(full) + 1), [name for name, _ in full])
    panels[1].invert_yaxis()
    panels[1].grid(visible=False, axis="y")
    panels[1].set_xlabel(DROP)
    boxes(
        panels[2],
        [(kind.name, [d for n in kind.datasets for d in _drops(overview, n)]) for kind in overview.task_types],
    )
    for axes, title in zip(panels, ("Mean drop", "Distribution", "By task type"), strict=True):
        axes.set_title(title)
    return figure


def distributions_chart(overview: Overview) -> Chart:
    """Mean drops of all combinations: altogether, by size, and cumulated."""
    tried = [one for one in overview.study.combinations if one.removed and 0 not in one.removed]
    by_size = {size: [one.mean for one in tried if len(one.removed) == size] for size in sizes(tried)}
    values = [one.mean for one in tried]
    told = (
        f"half of {counted(len(values), 'combination')} lose less than {points(quantile(values, 0.5))} points, "
        f"nine of ten "
    )
    told += f"less than {points(quantile(values, 0.9))}"
    rows = tuple((str(size), *cells(summarize(found))) for size, found in by_size.items())
    return Chart(
        name="drop_distributions",
        title="Distribution of drops",
        caption=f"Mean drops of all combinations without block 0: {told}. Boxes: quartiles and median, whiskers from "
        f"the 5th "
        "to the 95th percentile.",
        alt=f"Histograms, boxes and cumulated shares of mean drops by number of removed blocks: {told}.",
        table=Table(
            columns=(head("blocks removed"), *map(head, SUMMARY_HEADS)),
            rows=(*rows, ("all", *cells(summarize(values)))),
        ),
        draw=lambda canvas: _draw_distributions(canvas, by_size),
    )


def _draw_distributions(canvas: Canvas, by_size: dict[int, list[float]]) -> Figure:
    figure, panels = canvas.panels(4, height=2.5, columns=2)
    scaled = {size: [100 * drop for drop in found] for size, found in by_size.items()}
    every = [drop for found in scaled.values() for drop in found]
    panels[0].hist(every, bins=BINS, color=BLUE, edgecolor="white", linewidth=0.5)
    edges = [min(every) + (max(every) - min(every)) * step / BINS for step in range(BINS + 1)]
    for number, (size, found) in enumerate(scaled.items()):
        look = style(number)
        name = f"{size} removed"
        if edges[0] < edges[-1]:
            panels[1].hist(
                found, bins=edges, histtype="step", color=look.color, linestyle=look.line, linewidth=1.5, label=name
            )
        ordered = sorted(found)
        shares = [100 * (place + 1) / len(ordered) for place in range(len(ordered))]
        panels[3].plot(ordered, shares, drawstyle="steps-post", color=look.color, linestyle=look.line, label=name)
    boxes(panels[2], [(f"{size} removed", found) for size, found in by_size.items()])
    for axes, title, label in zip(
        panels, ("All", "By number removed", "By number removed", "Cumulated"),
        ("combinations", "combinations", "", "share of combinations, %"), strict=True,
    ):  # fmt: skip
        axes.set_title(title)
        axes.set_xlabel(f"mean {DROP}")
        axes.set_ylabel(label)
    panels[3].legend(loc="lower right")
    return figure
