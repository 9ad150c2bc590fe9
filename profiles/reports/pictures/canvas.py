"""What pictures are drawn on: a wide and a narrow form of each, saved so that the same numbers give the same bytes."""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from profiles.reports.pictures.palette import GRID, INK, MUTED, PAPER, dark_rules
from runtime.text.one_line import one_line, shorten_middle

MANY_MARKS = 1500  # in a picture; from here on they are drawn as an image inside the SVG
_DPI = 144
_FOOT = 0.22  # inches
_LONGEST_SOURCE = 75


@dataclass(frozen=True, kw_only=True, slots=True)
class Canvas:
    """A form of all pictures: its width in inches, its letters in points, and the panels beside each other."""

    width: float
    letters: float
    columns: int

    def panels(self, count: int, *, height: float, columns: int | None = None) -> tuple[Figure, list[Axes]]:
        """A figure of `count` panels, each `height` inches high, at most `columns` beside each other."""
        beside = min(count, columns or self.columns, self.columns)
        rows = -(-count // beside)
        tall = rows * height + _FOOT
        figure = Figure(figsize=(self.width, tall))
        FigureCanvasAgg(figure)  # measures letters
        figure.set_layout_engine(ConstrainedLayoutEngine(rect=(0.0, _FOOT / tall, 1.0, 1.0 - _FOOT / tall)))
        grid = figure.subplots(rows, beside, squeeze=False)
        flat = [axes for row in grid for axes in row]
        for axes in flat[count:]:
            axes.remove()
        return figure, flat[:count]


WIDE = Canvas(width=10.0, letters=9.5, columns=3)
NARROW = Canvas(width=3.75, letters=8.0, columns=1)


def save(figure: Figure, canvas: Canvas, *, name: str, form: str) -> bytes:
    """The bytes of a figure as `svg` or `png`; the same figure under the same name gives the same bytes."""
    stream = io.BytesIO()
    metadata = {"Date": None, "Creator": None} if form == "svg" else {"Software": None}
    with settings(canvas), mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(stream, format=form, dpi=_DPI, metadata=metadata)
    data = stream.getvalue()
    return _themed(data) if form == "svg" else data


def _themed(svg: bytes) -> bytes:
    """The SVG with a dark form for who prefers one."""
    text = svg.decode()
    at = text.index(">", text.index("<svg")) + 1
    return f"{text[:at]}\n <style>{dark_rules()}</style>{text[at:]}".encode()


@contextmanager
def settings(canvas: Canvas) -> Iterator[None]:
    """Inside, figures are made and saved with the report's look."""
    letters = canvas.letters
    look = {
        "font.family": "DejaVu Sans",
        "font.size": letters,
        "axes.titlesize": letters,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": letters,
        "xtick.labelsize": letters - 1,
        "ytick.labelsize": letters - 1,
        "legend.fontsize": letters - 0.5,
        "legend.frameon": False,
        "text.color": INK,
        "axes.titlecolor": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": MUTED,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": GRID,
        "grid.linewidth": 0.6,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.facecolor": PAPER,
        "savefig.facecolor": PAPER,
        "axes.facecolor": "none",
        "svg.fonttype": "none",
        "text.parse_math": False,
        "lines.linewidth": 1.4,
        "lines.markersize": 4.5,
    }
    with mpl.rc_context(look), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from font")  # the reader's fonts may have it
        yield


def write_source(figure: Figure, source: str) -> None:
    """Write at the foot of a figure what it was measured on."""
    figure.text(0.995, 0.02 / figure.get_figheight(), shorten_middle(one_line(source), _LONGEST_SOURCE), ha="right",
                va="bottom", fontsize=mpl.rcParams["xtick.labelsize"], color=MUTED)  # fmt: skip


def log_axis(axes: Axes, axis: str, values: Sequence[float]) -> None:
    """Make an axis logarithmic with plain numbers at its ticks, and limits a little beyond the values."""
    low, high = min(values), max(values)
    span = high / low
    factor = max(span**0.06, 1.08)
    getattr(axes, f"set_{axis}scale")("log")
    getattr(axes, f"set_{axis}lim")(low / factor, high * factor)
    side = axes.xaxis if axis == "x" else axes.yaxis
    steps = (
        (1.0,) if span > 1e3 else (1.0, 2.0, 5.0) if span > 3 else (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
    )
    side.set_major_locator(LogLocator(subs=steps, numticks=12))
    side.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    side.set_minor_locator(NullLocator())
    side.set_minor_formatter(NullFormatter())


def rasterize(axes: Axes) -> None:
    """Let an SVG hold the marks of these axes as an image, the lines stay lines."""
    for line in axes.get_lines():
        line.set_rasterized(line.get_linestyle() == "None")


def legend_above(figure: Figure, axes: Axes, *, columns: int) -> None:
    """One legend for all panels, above them; none where there is one entry only."""
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) > 1:
        figure.legend(handles, labels, loc="outside upper left", ncols=min(columns, len(labels)), handletextpad=0.5)
