"""Predicted against measured: a panel a stage, a mark a point of the profile."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from profiles.reports.latency.inputs import EstimatorFile
from profiles.reports.latency.predictions import Pair, mean_error
from profiles.reports.latency.series import Series, show_load
from profiles.reports.pictures.canvas import MANY_MARKS, Canvas, legend_above, log_axis, rasterize
from profiles.reports.pictures.chart import Chart, Table, head
from profiles.reports.pictures.numbers import digits, percent
from profiles.reports.pictures.palette import BAND, MUTED, STYLES, style
from runtime.engines.stages import STAGES as ALL_STAGES

BAND_SHARE = 0.1
MOST_ROWS = 2000


def predicted_chart(series: Series, estimator: EstimatorFile, pairs: Sequence[Pair]) -> Chart:
    """The chart of all stages; `pairs` are those of stages."""
    stages = {stage: [one for one in pairs if one.stage == stage] for stage in ALL_STAGES}
    stages = {stage: found for stage, found in stages.items() if found}
    errors = ", ".join(f"{stage} {percent(mean_error(found))}" for stage, found in stages.items())
    seen = any(series.file.sha256 in source for source in estimator.document.sources)
    fitted = "is fitted to these very points" if seen else "has not seen these points"
    return Chart(
        name="predicted",
        title=f"Predicted against measured, {series.name}",
        caption=f"The estimator {estimator.path.name} {fitted}. Mean absolute error: {errors}. The line is equality, "
        f"the band ± {percent(BAND_SHARE)}; what is measured stays below the dashed line in "
        f"{100 * estimator.document.level:g} of 100 cases, as the estimator says.",
        alt=f"{len(stages)} scatter plots on logarithmic axes, one a stage: measured over predicted milliseconds of "
        f"{len(pairs)} points. Mean absolute error: {errors}.",
        table=_table(pairs),
        draw=lambda canvas: _draw(canvas, stages, estimator),
    )


def _table(pairs: Sequence[Pair]) -> Table:
    shown = sorted(pairs, key=lambda one: -abs(one.residual))[:MOST_ROWS]
    rows = tuple(
        (
            one.stage,
            one.variant,
            show_load(one.load),
            "–" if one.position is None else f"{one.position:g}",
            digits(one.measured_ms),
            digits(one.predicted_ms),
            percent(one.residual, sign=True),
        )
        for one in shown
    )
    left = len(pairs) - len(rows)
    columns = (*(head(text, right=False) for text in ("stage", "variant", "load")), head("position"))
    return Table(
        columns=(*columns, head("measured, ms"), head("predicted, ms"), head("measured / predicted − 1")),
        rows=rows,
        note=f"The largest residuals first; {left} smaller ones are left out." if left else "",
    )


def _draw(canvas: Canvas, stages: Mapping[str, Sequence[Pair]], estimator: EstimatorFile) -> Figure:
    batches = sorted({pair.load.batch for found in stages.values() for pair in found})
    marks = sum(map(len, stages.values()))
    figure, panels = canvas.panels(len(stages), height=2.7)
    for axes, (stage, pairs) in zip(panels, stages.items(), strict=True):
        _panel(axes, pairs, batches, estimator.predict.bound(stage))
        if marks > MANY_MARKS:
            rasterize(axes)
        axes.set_title(stage)
        axes.set_xlabel("predicted, ms")
        axes.set_ylabel("measured, ms")
    full = max(panels, key=lambda axes: len(axes.get_legend_handles_labels()[1]))
    legend_above(figure, full, columns=6 if canvas.columns > 1 else 3)
    return figure


def _panel(axes: Axes, pairs: Sequence[Pair], batches: Sequence[int], bound: float) -> None:
    values = [ms for pair in pairs for ms in (pair.measured_ms, pair.predicted_ms)]
    low, high = min(values) / 2, max(values) * 2
    axes.fill_between([low, high], [low * (1 - BAND_SHARE), high * (1 - BAND_SHARE)],
                      [low * (1 + BAND_SHARE), high * (1 + BAND_SHARE)], color=BAND, linewidth=0)  # fmt: skip
    axes.plot([low, high], [low, high], color=MUTED, linewidth=0.9)
    axes.plot([low, high], [low * bound, high * bound], color=MUTED, linewidth=0.9, linestyle=(0, (4, 2)))
    for number, group in enumerate(_groups(batches)):
        found = [pair for pair in pairs if pair.load.batch in group]
        if found:
            _scatter(axes, found, number, _group_name(group, batches))
    log_axis(axes, "x", values)
    log_axis(axes, "y", values)


def _scatter(axes: Axes, pairs: Sequence[Pair], number: int, label: str) -> None:
    look = style(number)
    axes.plot(
        [pair.predicted_ms for pair in pairs],
        [pair.measured_ms for pair in pairs],
        linestyle="none",
        marker=look.marker,
        color=look.color,
        markersize=3.6,
        markeredgewidth=0,
        alpha=0.7,
        label=label,
    )


def _groups(batches: Sequence[int]) -> list[Sequence[int]]:
    """The batch sizes, each for itself; where there are more than styles, the largest together."""
    alone = len(STYLES) - 1 if len(batches) > len(STYLES) else len(batches)
    groups: list[Sequence[int]] = [[batch] for batch in batches[:alone]]
    return [*groups, batches[alone:]] if alone < len(batches) else groups


def _group_name(group: Sequence[int], batches: Sequence[int]) -> str:
    return f"batch {group[0]}" if len(group) == 1 else f"batch {group[0]}–{batches[-1]}"
