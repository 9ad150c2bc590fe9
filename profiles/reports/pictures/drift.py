"""Drift over the run: how medians changed from the first half of the repeats to the second."""

from collections.abc import Mapping, Sequence
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from profiles.reports.latency.inputs import Subject
from profiles.reports.pictures.canvas import MANY_MARKS, Canvas, rasterize
from profiles.reports.pictures.chart import Chart, Table, head
from profiles.reports.pictures.numbers import percent, quantile
from profiles.reports.pictures.palette import BAND, INK, MUTED, style
from runtime.documents.latency.profile_document import Point
from runtime.engines.stages import STAGES

LEAST_REPEATS = 4  # below, a half is a single time
BAND_PERCENT = 3.0
SHOWN = 0.98  # share of the points within the limits of the axis
_ROW, _MARGIN = 0.42, 0.85  # inches
ByStage = Mapping[str, Sequence[Point]]


def drift_chart(subject: Subject) -> Chart | None:
    """The chart of all forms of a profile; None where every point has fewer than `LEAST_REPEATS` repeats."""
    found = {series.name: _by_stage(series.points) for series in subject.series}
    found = {name: stages for name, stages in found.items() if stages}
    if not found:
        return None
    every = [point for stages in found.values() for points in stages.values() for point in points]
    middle = percent(median(point.drift for point in every), sign=True)
    beyond = percent(sum(abs(point.drift) > BAND_PERCENT / 100 for point in every) / len(every))
    return Chart(
        name="drift",
        title="Drift over the run",
        caption="Change of a point's median from the first half of its repeats to the second, which interleaving has "
        f"spread over the whole run; the tick is the median, the band ± {BAND_PERCENT:g} %, and marks at the "
        f"edges lie beyond them. Over all points the median is {middle}; {beyond} of them lie outside the band.",
        alt=f"A row of dots a stage: the drift of {len(every)} points in percent. The median over all is {middle}, "
        f"{beyond} lie outside ± {BAND_PERCENT:g} %.",
        table=_table(found),
        draw=lambda canvas: _draw(canvas, found),
    )


def _by_stage(points: Sequence[Point]) -> dict[str, list[Point]]:
    known = [point for point in points if point.count >= LEAST_REPEATS]
    found = {stage: [point for point in known if point.stage == stage] for stage in STAGES}
    return {stage: ones for stage, ones in found.items() if ones}


def _table(found: Mapping[str, ByStage]) -> Table:
    rows = []
    for name, stages in found.items():
        for stage, points in stages.items():
            drifts = [point.drift for point in points]
            spread = [percent(quantile(drifts, share), sign=True) for share in (0.05, 0.5, 0.95)]
            rows.append((name, stage, str(len(points)), str(sum(point.count for point in points)), *spread))
    texts = (head("form", right=False), head("stage", right=False))
    numbers = ("points", "repeats", "5th percentile", "median", "95th percentile")
    return Table(columns=(*texts, *map(head, numbers)), rows=tuple(rows))


def _draw(canvas: Canvas, found: Mapping[str, ByStage]) -> Figure:
    rows = max(len(stages) for stages in found.values())
    figure, panels = canvas.panels(len(found), height=_MARGIN + _ROW * rows, columns=2)
    for axes, (name, stages) in zip(panels, found.items(), strict=True):
        _panel(axes, stages)
        if sum(map(len, stages.values())) > MANY_MARKS:
            rasterize(axes)
        axes.set_title(name)
        axes.set_xlabel("second half over first half − 1, %")
    return figure


def _panel(axes: Axes, stages: ByStage) -> None:
    axes.axvspan(-BAND_PERCENT, BAND_PERCENT, color=BAND, linewidth=0)
    axes.axvline(0.0, color=MUTED, linewidth=0.9)
    every = [abs(100 * point.drift) for points in stages.values() for point in points]
    reach = max(1.1 * quantile(every, SHOWN), 1.6 * BAND_PERCENT)
    for row, points in enumerate(stages.values()):
        drifts = [min(max(100 * point.drift, -reach), reach) for point in points]
        _dots(axes, drifts, row)
    axes.set_xlim(-1.03 * reach, 1.03 * reach)
    axes.set_ylim(len(stages) - 0.5, -0.5)
    axes.set_yticks(range(len(stages)), list(stages))
    axes.grid(axis="y", visible=False)


def _dots(axes: Axes, drifts: Sequence[float], row: int) -> None:
    """The dots of a row, spread over its height by the golden ratio, and their median."""
    look = style(row)
    heights = [row + 0.56 * ((0.618 * index) % 1.0 - 0.5) for index in range(len(drifts))]
    axes.plot(
        drifts, heights, linestyle="none", marker=look.marker, color=look.color, markersize=3.0, markeredgewidth=0,
        alpha=0.5,
    )  # fmt: skip
    axes.plot([median(drifts)] * 2, [row - 0.36, row + 0.36], color=INK, linewidth=1.6)
