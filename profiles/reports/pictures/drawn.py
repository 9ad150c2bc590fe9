"""A chart drawn in all its forms."""

from dataclasses import dataclass

from profiles.reports.pictures.canvas import NARROW, WIDE, Canvas, save, settings, write_source
from profiles.reports.pictures.chart import Chart


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A chart drawn: wide and narrow as SVG, wide as PNG too."""

    chart: Chart
    wide: bytes
    narrow: bytes
    png: bytes


def draw(chart: Chart) -> Picture:
    """Draw all forms of a chart."""
    return Picture(
        chart=chart,
        wide=_drawn(chart, WIDE, "svg"),
        narrow=_drawn(chart, NARROW, "svg"),
        png=_drawn(chart, WIDE, "png"),
    )


def _drawn(chart: Chart, canvas: Canvas, form: str) -> bytes:
    with settings(canvas):
        figure = chart.draw(canvas)
        write_source(figure, chart.source)
    return save(figure, canvas, name=chart.name, form=form)
