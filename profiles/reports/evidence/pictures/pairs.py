"""Figure 8: data sets against each other, and the comparison of train and validation."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from profiles.evidence.comparing.overview import Overview
from profiles.evidence.comparing.pairs import Pair
from profiles.evidence.comparing.splits import SplitComparison, SplitPoint
from profiles.reports.evidence.pictures.marks import Bar, bars, points
from profiles.reports.pictures.canvas import Canvas, legend_above
from profiles.reports.pictures.chart import Chart, Table, head
from profiles.reports.pictures.palette import BLUE, INK, MUTED, ORANGE, style

ENDS = 5
MOST_NUMBERED = 5  # data sets whose cells have room for a number in a narrow picture
COLORS = "cividis"


def pairs_chart(overview: Overview) -> Chart | None:
    """Correlations and differences of pairs of data sets; None where no pair has enough in common."""
    known = sorted((one for one in overview.pairs if one.without_block_0 is not None), key=_correlation, reverse=True)
    if not known:
        return None
    told = (
        f"from {_name(known[-1])} ({_correlation(known[-1]):.2f}) to {_name(known[0])} ({_correlation(known[0]):.2f})"
    )
    rows = tuple(
        (
            one.first,
            one.second,
            "same" if one.same_type else "different",
            str(one.common),
            *("–" if value is None else f"{value:.3f}" for value in (one.without_block_0, one.correlation)),
            points(one.difference),
            points(one.difference_size),
        )
        for one in overview.pairs
    )
    texts = (head(text, right=False) for text in ("first", "second", "task type"))
    numbers = ("in common", "correlation", "with block 0", "mean difference, points", "mean size, points")
    return Chart(
        name="dataset_pairwise_comparison",
        title="Data sets against each other",
        caption="Pearson's correlation of the drops of the combinations that both data sets tried, at least three, "
        "without block "
        f"0: {told}. Differences are of the same combinations. Hollow bars: different task types; the number at the "
        f"right says "
        "how many combinations both tried.",
        alt=f"Correlations of {len(known)} pairs of data sets as marks, as a matrix and as bars, and mean "
        f"differences: {told}.",
        table=Table(columns=(*texts, *map(head, numbers)), rows=rows),
        draw=lambda canvas: _draw(canvas, overview, known),
    )


def _correlation(one: Pair) -> float:
    return one.without_block_0 or 0.0


def _name(one: Pair) -> str:
    return f"{one.first} – {one.second}"


def _draw(canvas: Canvas, overview: Overview, known: Sequence[Pair]) -> Figure:
    names, wide = [name for kind in overview.task_types for name in kind.datasets], canvas.columns > 1
    figure, panels = canvas.panels(4, height=max(3.0, 1.2 + 0.32 * len(names)), columns=2)
    for place, (same, marker, color) in enumerate(((True, "o", BLUE), (False, "s", ORANGE))):
        values = sorted(_correlation(one) for one in known if one.same_type == same)
        spread = [place + 0.25 * ((number % 5) - 2) / 2 for number in range(len(values))]
        panels[0].plot(values, spread, linestyle="none", marker=marker, color=color, alpha=0.8)
    panels[0].set_yticks([0, 1], ["same type", "different"])
    panels[0].set_ylim(1.6, -0.6)
    panels[0].set_xlabel("correlation")
    _matrix(
        figure,
        panels[1],
        names,
        {(one.first, one.second): one.without_block_0 for one in overview.pairs},
        "correlation",
        wide=wide,
    )
    apart = {(one.first, one.second): one.difference_size for one in overview.pairs}
    scaled = {key: None if value is None else 100 * value for key, value in apart.items()}
    _matrix(figure, panels[2], names, scaled, "mean difference in size, points", wide=wide)
    ends = known if len(known) <= 2 * ENDS else [*known[:ENDS], *known[-ENDS:]]
    shown = [
        Bar(label=_name(one), value=_correlation(one), note=str(one.common), color=BLUE, hollow=not one.same_type)
        for one in ends
    ]
    bars(panels[3], shown, label="correlation")
    titles = ("By task type", "Correlation", "Difference", "Most and least alike")
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title)
    return figure


def _matrix(
    figure: Figure,
    axes: Axes,
    names: Sequence[str],
    values: dict[tuple[str, str], float | None],
    label: str,
    *,
    wide: bool,
) -> None:
    """A coloured cell with its number for each pair."""
    grid = [[float("nan")] * len(names) for _ in names]
    for (one, other), value in values.items():
        if value is not None:
            grid[names.index(one)][names.index(other)] = grid[names.index(other)][names.index(one)] = value
    drawn = axes.imshow(grid, cmap=COLORS, aspect="auto")
    known = [value for value in values.values() if value is not None]
    middle = (min(known) + max(known)) / 2
    for row, line in enumerate(grid):
        for column, value in enumerate(line):
            if value == value and (wide or len(names) <= MOST_NUMBERED):
                shade = "white" if value < middle else "black"
                text = f"{value:.2f}" if label == "correlation" else f"{value:.1f}"
                axes.text(column, row, text, ha="center", va="center", color=shade, fontsize=6.5)
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.grid(visible=False)
    figure.colorbar(drawn, ax=axes, label=label)


def splits_chart(overview: Overview) -> Chart | None:
    """Train against validation, a panel for what is compared; None where a study has not both."""
    found = overview.splits
    if not found:
        return None
    told = ", ".join(
        f"{one.dataset} {'–' if one.correlation is None else format(one.correlation, '.2f')}" for one in found
    )
    rows = tuple(
        (one.dataset, one.what, point.name, points(point.train), points(point.validation))
        for one in found
        for point in one.points
    )
    texts = (head(text, right=False) for text in ("data set", "what", "of"))
    return Chart(
        name="train_validation_comparison",
        title="Train against validation",
        caption=f"The same on both splits of each data set, block 0 left out; the line is equality. Correlation (of "
        f"importance "
        f"Spearman's): {told}.",
        alt=f"Scatter plots of validation over train. Correlation: {told}.",
        table=Table(columns=(*texts, head("train, points"), head("validation, points")), rows=rows),
        draw=lambda canvas: _draw_splits(canvas, found),
    )


def _is_block_0(point: SplitPoint) -> bool:
    return point.name in ("block 0", "[0]")


def _draw_splits(canvas: Canvas, found: Sequence[SplitComparison]) -> Figure:
    kinds = list(dict.fromkeys(one.what for one in found))
    figure, panels = canvas.panels(len(kinds), height=3.4, columns=2)
    for axes, kind in zip(panels, kinds, strict=True):
        chosen = [one for one in found if one.what == kind]
        shown = {one.dataset: [point for point in one.points if not _is_block_0(point)] for one in chosen}
        values = [
            100 * value for found in shown.values() for one in found for value in (one.train, one.validation)
        ] or [0]
        axes.plot([min(values), max(values)], [min(values), max(values)], color=MUTED, linewidth=0.9)
        for number, one in enumerate(chosen):
            look = style(number)
            axes.plot(
                [100 * point.train for point in shown[one.dataset]],
                [100 * point.validation for point in shown[one.dataset]],
                linestyle="none",
                marker=look.marker,
                color=look.color,
                markersize=4.2,
                markeredgecolor=INK,
                markeredgewidth=0.3,
                label=one.dataset,
            )
        axes.set_title(f"{kind.capitalize()} on both splits")
        axes.set_xlabel("train, points")
        axes.set_ylabel("validation, points")
    legend_above(figure, panels[0], columns=5 if canvas.columns > 1 else 2)
    return figure
