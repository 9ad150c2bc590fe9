"""Residuals by variant: a row a variant, its median and where nine of ten lie."""

from collections.abc import Mapping, Sequence
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from profiles.reports.latency.predictions import ANSWER, Pair, mean_error
from profiles.reports.latency.series import Series
from profiles.reports.pictures.canvas import Canvas
from profiles.reports.pictures.chart import Chart, Table, head
from profiles.reports.pictures.numbers import percent, quantile
from profiles.reports.pictures.palette import BAND, MUTED, style
from runtime.engines.stages import DECODE, PREFILL

STAGES = (PREFILL, DECODE, ANSWER)  # those that depend on the variant
LOW, HIGH = 0.05, 0.95
BAND_PERCENT = 5.0
_ROW, _MARGIN = 0.19, 0.75  # inches


def residuals_chart(series: Series, pairs: Sequence[Pair]) -> Chart | None:
    """The chart of the stages that depend on the variant; None where none was predicted."""
    found = {stage: _by_variant(series, [one for one in pairs if one.stage == stage]) for stage in STAGES}
    found = {stage: ones for stage, ones in found.items() if ones}
    if not found:
        return None
    variants = [one for one in series.layers if any(one in ones for ones in found.values())]
    worst = _worst(found)
    return Chart(
        name="residuals",
        title=f"Residuals by variant, {series.name}",
        caption=f"Measured / predicted − 1: the mark is a variant's median over its loads, the bar holds nine of ten, "
        f"the band is ± {BAND_PERCENT:g} %. Furthest off on the median is {worst}.",
        alt=f"A row for each of {len(variants)} variants with the median and the spread of its residuals, in panels "
        f"for {', '.join(found)}. Furthest off on the median is {worst}.",
        table=_table(variants, found),
        draw=lambda canvas: _draw(canvas, variants, found),
    )


def _by_variant(series: Series, pairs: Sequence[Pair]) -> dict[str, list[Pair]]:
    found: dict[str, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(pair.variant, []).append(pair)
    return {variant: found[variant] for variant in series.layers if variant in found}


def _middle(pairs: Sequence[Pair]) -> float:
    return median(pair.residual for pair in pairs)


def _worst(found: Mapping[str, Mapping[str, Sequence[Pair]]]) -> str:
    each = [(_middle(pairs), variant, stage) for stage, ones in found.items() for variant, pairs in ones.items()]
    residual, variant, stage = max(each, key=lambda one: abs(one[0]))
    return f"{variant}, {stage}, with {percent(residual, sign=True)}"


def _table(variants: Sequence[str], found: Mapping[str, Mapping[str, Sequence[Pair]]]) -> Table:
    rows = []
    for variant in variants:
        for stage, ones in found.items():
            if variant in ones:
                residuals = [pair.residual for pair in ones[variant]]
                spread = [percent(quantile(residuals, share), sign=True) for share in (LOW, 0.5, HIGH)]
                rows.append((variant, stage, str(len(residuals)), *spread, percent(mean_error(ones[variant]))))
    texts = (head("variant", right=False), head("stage", right=False))
    numbers = ("points", "5th percentile", "median", "95th percentile", "mean absolute error")
    return Table(columns=(*texts, *map(head, numbers)), rows=tuple(rows))


def _draw(canvas: Canvas, variants: Sequence[str], found: Mapping[str, Mapping[str, Sequence[Pair]]]) -> Figure:
    figure, panels = canvas.panels(len(found), height=_MARGIN + _ROW * len(variants))
    reach = _reach(found)
    for number, (axes, (stage, ones)) in enumerate(zip(panels, found.items(), strict=True)):
        _panel(axes, variants, ones, number)
        axes.set_title(stage)
        axes.set_xlabel("measured / predicted − 1, %")
        axes.set_xlim(-reach, reach)
        if number and canvas.columns > 1:
            axes.tick_params(labelleft=False)
    return figure


def _reach(found: Mapping[str, Mapping[str, Sequence[Pair]]]) -> float:
    """How far the axis goes to both sides, in percent: all bars fit."""
    groups = [[pair.residual for pair in pairs] for ones in found.values() for pairs in ones.values()]
    farthest = max(abs(quantile(residuals, share)) for residuals in groups for share in (LOW, HIGH))
    return max(1.1 * 100 * farthest, 1.6 * BAND_PERCENT)


def _panel(axes: Axes, variants: Sequence[str], ones: Mapping[str, Sequence[Pair]], number: int) -> None:
    axes.axvspan(-BAND_PERCENT, BAND_PERCENT, color=BAND, linewidth=0)
    axes.axvline(0.0, color=MUTED, linewidth=0.9)
    look = style(number)
    for row, variant in enumerate(variants):
        if variant in ones:
            residuals = [100 * pair.residual for pair in ones[variant]]
            ends = [quantile(residuals, LOW), quantile(residuals, HIGH)]
            axes.plot(ends, [row, row], color=look.color, linewidth=1.6, alpha=0.55, solid_capstyle="butt")
            axes.plot([median(residuals)], [row], color=look.color, marker=look.marker, markersize=4.2)
    axes.set_ylim(len(variants) - 0.4, -0.6)
    axes.set_yticks(range(len(variants)), variants)
    axes.grid(axis="y", visible=False)
