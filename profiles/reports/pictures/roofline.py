"""The roofline position of each stage: operations a byte, and operations a second that were reached."""

from collections.abc import Sequence
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from profiles.reports.latency.inputs import Subject
from profiles.reports.latency.roofline import ASSUMED, Place, best_rates, places
from profiles.reports.pictures.canvas import MANY_MARKS, Canvas, legend_above, log_axis, rasterize
from profiles.reports.pictures.chart import Chart, Table, head
from profiles.reports.pictures.numbers import digits
from profiles.reports.pictures.palette import MUTED, style
from runtime.engines.stages import DECODE, PREFILL, VISION

STAGES = (VISION, PREFILL, DECODE)
ByForm = dict[str, tuple[Place, ...]]


def roofline_chart(subject: Subject) -> Chart | None:
    """The chart of all forms of a profile; None without the family's shapes."""
    if subject.shape is None:
        return None
    found = {series.name: places(series, subject.shape) for series in subject.series}
    found = {name: ones for name, ones in found.items() if ones}
    if not found:
        return None
    reached = "; ".join(f"{name} {_reached(ones)}" for name, ones in found.items())
    return Chart(
        name="roofline",
        title="Roofline position of each stage",
        caption="Operations and bytes are counted from the shapes, as below, over measured times. The "
        f"dashed roof is the most that any point reached ({reached}), not what the machine could do. Image, embeddings "
        "and sampling have no matrices and are left out.",
        alt="Achieved billions of operations a second over operations a byte, on logarithmic axes, for vision, prefill "
        f"and decode. Most reached: {reached}.",
        table=_table(found),
        notes=ASSUMED,
        draw=lambda canvas: _draw(canvas, found),
    )


def _reached(found: Sequence[Place]) -> str:
    gflops, gigabytes = best_rates(found)
    return f"{digits(gflops)} GFLOP/s and {digits(gigabytes)} GB/s"


def _table(found: ByForm) -> Table:
    """A row for each form, stage and batch size: medians over variants, lengths and positions."""
    rows = []
    for name, ones in found.items():
        keys = dict.fromkeys((one.point.stage, one.point.batch) for one in ones)
        for stage, batch in sorted(keys, key=lambda key: (STAGES.index(key[0]), key[1])):
            some = [one for one in ones if (one.point.stage, one.point.batch) == (stage, batch)]
            values = (
                median(one.work.operations / 1e6 for one in some),
                median(one.work.moved / 1e6 for one in some),
                median(one.work.intensity for one in some),
                median(one.gflops for one in some),
                median(one.gigabytes for one in some),
            )
            rows.append((name, stage, str(batch), str(len(some)), *map(digits, values)))
    texts = (head("form", right=False), head("stage", right=False), head("batch"), head("points"))
    numbers = ("million operations", "MB moved", "operations a byte", "GFLOP/s", "GB/s")
    note = "Medians over variants, lengths and positions."
    return Table(columns=(*texts, *map(head, numbers)), rows=tuple(rows), note=note)


def _draw(canvas: Canvas, found: ByForm) -> Figure:
    figure, panels = canvas.panels(len(found), height=3.9 if len(found) == 1 else 3.3, columns=2)
    for axes, (name, ones) in zip(panels, found.items(), strict=True):
        _panel(axes, ones)
        axes.set_title(name)
        axes.set_xlabel("arithmetic intensity, operations a byte")
        axes.set_ylabel("achieved, GFLOP/s")
    full = max(panels, key=lambda axes: len(axes.get_legend_handles_labels()[1]))
    legend_above(figure, full, columns=4 if canvas.columns > 1 else 2)
    return figure


def _panel(axes: Axes, found: Sequence[Place]) -> None:
    for number, stage in enumerate(STAGES):
        some = [one for one in found if one.point.stage == stage]
        if some:
            look = style(number)
            axes.plot(
                [one.work.intensity for one in some],
                [one.gflops for one in some],
                linestyle="none",
                marker=look.marker,
                color=look.color,
                markersize=3.8,
                markeredgewidth=0,
                alpha=0.6,
                label=stage,
            )
    if len(found) > MANY_MARKS:
        rasterize(axes)
    _roof(axes, found)


def _roof(axes: Axes, found: Sequence[Place]) -> None:
    gflops, gigabytes = best_rates(found)
    intensities = [one.work.intensity for one in found]
    ridge = gflops / gigabytes
    log_axis(axes, "x", [*intensities, ridge])
    log_axis(axes, "y", [gflops, *(one.gflops for one in found)])
    low, high = axes.get_xlim()
    axes.plot(
        [low, ridge, high], [low * gigabytes, gflops, gflops], color=MUTED, linewidth=1.0, linestyle=(0, (4, 2)),
        label="most reached",
    )  # fmt: skip
