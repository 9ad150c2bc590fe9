"""Latency against depth and experts per token, under one load."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from profiles.reports.latency.series import Series, later_top_k, load_of, mean_top_k, show_load
from profiles.reports.pictures.canvas import Canvas
from profiles.reports.pictures.chart import Chart, Table, head
from profiles.reports.pictures.numbers import digits, spread_out
from profiles.reports.pictures.palette import MUTED, style
from runtime.engines.stages import DECODE, PREFILL
from runtime.latency.workload import Workload

MOST_LINES = 5
UNITS = {PREFILL: "prefill, ms", DECODE: "decode, ms a token"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Shaped:
    """One stage of one variant: `top_k` of the layers after the first (None: they differ, or are dense), the mean over
    all layers, and milliseconds (median, 5th and 95th percentile; means over positions)."""

    stage: str
    variant: str
    depth: int
    top_k: int | None
    mean_k: float
    ms: float
    low_ms: float
    high_ms: float


def depth_chart(series: Series, load: Workload) -> Chart | None:
    """The chart of prefill and decoding under a load; None where nothing was measured under it."""
    found = shaped(series, load)
    if not found:
        return None
    ends = [min(found, key=_size), max(found, key=_size)]
    less, more = (next(one for one in found if one.variant == end.variant) for end in ends)
    said = (
        f"from {digits(less.ms)} ms ({less.variant}) to {digits(more.ms)} ms ({more.variant})"
        if len({one.variant for one in found}) > 1
        else f"{digits(less.ms)} ms ({less.variant})"
    )
    return Chart(
        name="depth",
        title=f"Latency against depth and experts per token, {series.name}",
        caption=f"Under {show_load(load)}. {less.stage.capitalize()}: {said}. k are the experts per token of the "
        "layers after the first; bars go from the 5th to the 95th percentile of repeats, and axes do not begin at 0.",
        alt="Line plots of milliseconds over the number of layers and over experts per token, for prefill and "
        f"decoding of {len({one.variant for one in found})} variants. {less.stage.capitalize()}: {said}.",
        table=_table(found),
        draw=lambda canvas: _draw(canvas, found),
    )


def _size(one: Shaped) -> tuple[int, float]:
    return one.depth, one.mean_k


def shaped(series: Series, load: Workload) -> tuple[Shaped, ...]:
    """Prefill and decoding of every variant that was measured under the load."""
    by_id = {variant.id: variant for variant in series.file.profile.variants}
    found = []
    for stage in UNITS:
        for variant, layers in series.layers.items():
            points = [p for p in series.points if (p.stage, p.variant, load_of(p)) == (stage, variant, load)]
            if points:
                found.append(
                    Shaped(
                        stage=stage,
                        variant=variant,
                        depth=layers.depth,
                        top_k=later_top_k(by_id[variant].top_k),
                        mean_k=mean_top_k(layers),
                        ms=fmean(point.median_ms for point in points),
                        low_ms=fmean(point.p5_ms for point in points),
                        high_ms=fmean(point.p95_ms for point in points),
                    )
                )
    return tuple(found)


def _table(found: Sequence[Shaped]) -> Table:
    texts = (head("variant", right=False), head("stage", right=False))
    numbers = ("layers", "k", "median, ms", "5th percentile, ms", "95th percentile, ms")
    rows = tuple(
        (
            one.variant,
            one.stage,
            str(one.depth),
            _show_k(one),
            *(digits(ms) for ms in (one.ms, one.low_ms, one.high_ms)),
        )
        for one in found
    )
    return Table(columns=(*texts, *map(head, numbers)), rows=rows)


def _show_k(one: Shaped) -> str:
    if one.top_k is not None:
        return str(one.top_k)
    return f"mixed, mean {one.mean_k:.1f}" if one.mean_k else "dense"


Axis = Callable[[Shaped], float]


def _over_depth(one: Shaped) -> float:
    return one.depth


def _over_k(one: Shaped) -> float:
    return one.mean_k if one.top_k is None else one.top_k


def _draw(canvas: Canvas, found: Sequence[Shaped]) -> Figure:
    stages = [stage for stage in UNITS if any(one.stage == stage for one in found)]
    over: list[tuple[str, Axis, Axis, str]] = [("layers", _over_depth, _over_k, "k {}")]
    if len({one.top_k for one in found} - {None}) > 1:
        over.append(("k, experts per token of the layers after the first", _over_k, _over_depth, "{} layers"))
    figure, panels = canvas.panels(len(stages) * len(over), height=2.7, columns=len(over))
    for number, axes in enumerate(panels):
        stage, (label, x, line, name) = stages[number // len(over)], over[number % len(over)]
        _panel(axes, [one for one in found if one.stage == stage], x, line, name)
        axes.set_xlabel(label)
        axes.set_ylabel(UNITS[stage])
    return figure


def _panel(axes: Axes, found: Sequence[Shaped], x: Axis, line: Axis, name: str) -> None:
    plain = [one for one in found if one.top_k is not None or not one.mean_k]
    lines = sorted({int(line(one)) for one in plain})
    for number, value in enumerate(spread_out(lines, MOST_LINES)):
        label = name.format(value) if value else "dense"
        _line(axes, [one for one in plain if int(line(one)) == value], x, number, label)
    mixed = [one for one in found if one not in plain]
    if mixed:
        axes.plot(list(map(x, mixed)), [one.ms for one in mixed], "x", color=MUTED, label="mixed k")
    _limits(axes, sorted({x(one) for one in found}))
    if len(axes.get_legend_handles_labels()[1]) > 1:
        axes.legend(loc="upper left", ncols=3, columnspacing=1.0, handlelength=2.4, borderaxespad=0.2)


def _line(axes: Axes, found: Sequence[Shaped], x: Axis, number: int, label: str) -> None:
    look = style(number)
    at = sorted({x(one) for one in found})
    means = [fmean(one.ms for one in found if x(one) == value) for value in at]
    axes.plot(at, means, color=look.color, linestyle=look.line, marker=look.marker, label=label)
    for one in found:
        axes.plot([x(one)] * 2, [one.low_ms, one.high_ms], color=look.color, linewidth=0.8, alpha=0.6)


def _limits(axes: Axes, at: Sequence[float]) -> None:
    """Whole numbers on the x axis, and room for the legend above the lines."""
    margin = max(0.06 * (at[-1] - at[0]), 0.3)
    axes.set_xlim(at[0] - margin, at[-1] + margin)
    if all(float(value).is_integer() for value in at) and len(at) <= 12:
        axes.set_xticks(at)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    low, high = axes.dataLim.intervaly
    room = max(high - low, 0.05 * high)
    axes.set_ylim(max(low - 0.1 * room, 0.0), high + 0.38 * room)
