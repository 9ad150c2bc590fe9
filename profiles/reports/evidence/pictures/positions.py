"""Figure 3: where in the model the removed blocks stand."""

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from profiles.evidence.combining.positions import POSITIONS, position_of, single_blocks
from profiles.evidence.comparing.overview import Overview
from profiles.reports.evidence.pictures.marks import DROP, SUMMARY_HEADS, boxes, cells, points
from profiles.reports.pictures.canvas import Canvas
from profiles.reports.pictures.chart import Chart, Table, head
from profiles.reports.pictures.palette import INK, PAPER, style

HATCHES = ("", "///", "...")
KINDS = ("single", "touching", "inside")


def positions_chart(overview: Overview) -> Chart:
    """Drops of single blocks by place, and of all combinations by the third they touch."""
    found = overview.positions
    ends = {one.name: f"{one.blocks[0]}–{one.blocks[-1]}" for one in found if one.blocks}
    told = ", ".join(f"{one.name} ({ends[one.name]}) {points(one.single.mean)}" for one in found if one.single)
    zero = next((one.mean for one in overview.study.combinations if one.removed == (0,)), None)
    apart = "" if zero is None else f" Block 0, which loses {points(zero)} points, is left out."
    rows = tuple(
        (one.name, ends.get(one.name, "–"), kind, *cells(getattr(one, kind))) for one in found for kind in KINDS
    )
    columns = (*(head(text, right=False) for text in ("position", "blocks", "combinations")), *map(head, SUMMARY_HEADS))
    return Chart(
        name="block_position_analysis",
        title="Early, middle and late blocks",
        caption=f"Mean drop of single blocks, by third: {told} points. Lines are ± one standard deviation over data "
        f"sets. "
        f"Touching: combinations with a block of the third; inside: those of several blocks, all of it.{apart}",
        alt=f"Bars of the drop of each single block, and boxes of drops by third of the model. Single blocks: {told} "
        f"points.",
        table=Table(columns=columns, rows=rows),
        draw=lambda canvas: _draw(canvas, overview),
    )


def _draw(canvas: Canvas, overview: Overview) -> Figure:
    figure, panels = canvas.panels(2, height=3.2, columns=2)
    axes, other = panels
    used = []
    for (block,), one in single_blocks(overview.study).items():
        if block == 0:
            continue
        number = POSITIONS.index(position_of(block, overview.study.blocks))
        used.append(number)
        axes.bar(block, 100 * one.mean, color=style(number).color, hatch=HATCHES[number], edgecolor=PAPER, linewidth=0)
        ends = [100 * (one.mean - one.std), 100 * (one.mean + one.std)]
        axes.plot([block, block], ends, color=INK, linewidth=0.9, marker="_", markersize=4)
    axes.set_title("Single blocks")
    axes.set_xlabel("block removed")
    axes.set_ylabel(DROP)
    axes.grid(visible=False, axis="x")
    handles = [
        Patch(facecolor=style(n).color, hatch=HATCHES[n], edgecolor=PAPER, label=POSITIONS[n]) for n in sorted({*used})
    ]
    axes.legend(handles=handles, loc="upper right")
    tried = [one for one in overview.study.combinations if one.removed and 0 not in one.removed]
    groups = [
        (f"{one.name}, {kind}", [entry.mean for entry in tried if len(entry.removed) > 1 and fits(set(entry.removed))])
        for one in overview.positions
        for kind, fits in (("touching", set(one.blocks).intersection), ("inside", set(one.blocks).issuperset))
    ]
    boxes(other, groups)
    other.set_title("Combinations of several blocks")
    return figure
