"""Names beside marks, none over another or over a mark; those that find no place are left to the table."""

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

# Where a label may stand, in points from its mark: (right, up, horizontal and vertical alignment), the best first.
PLACES = (
    (6, -5, "left", "top"),
    (-6, 5, "right", "bottom"),
    (6, 5, "left", "bottom"),
    (-6, -5, "right", "top"),
    (0, 8, "center", "bottom"),
    (0, -8, "center", "top"),
    (14, -14, "left", "top"),
    (-14, 14, "right", "bottom"),
)
_MARK = 4.0  # half the height of a mark, in points


def place_labels(
    figure: Figure, axes: Axes, labels: Sequence[tuple[float, float, str]], marks: Sequence[tuple[float, float]]
) -> int:
    """Write each (x, y, text) beside its point, clear of all marks and of each other; returns how many found a
    place."""
    figure.draw_without_rendering()
    half = _MARK * figure.dpi / 72
    taken = [Bbox.from_extents(x - half, y - half, x + half, y + half) for x, y in axes.transData.transform(marks)]
    inside = axes.get_window_extent()
    placed = 0
    for x, y, text in labels:
        for right, up, horizontal, vertical in PLACES:
            note = axes.annotate(
                text,
                (x, y),
                (right, up),
                textcoords="offset points",
                ha=horizontal,
                va=vertical,
                fontsize=mpl.rcParams["legend.fontsize"],
            )
            box = note.get_window_extent()
            if _fits(box, inside) and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                placed += 1
                break
            note.remove()
    return placed


def _fits(box: Bbox, inside: Bbox) -> bool:
    return bool(inside.x0 <= box.x0 and box.x1 <= inside.x1 + 1 and inside.y0 <= box.y0 and box.y1 <= inside.y1 + 1)
