"""What a joint search found: accuracy over cost, beside cuts that only remove blocks or only use fewer experts."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from matplotlib.figure import Figure

from profiles.evidence.searching.joint_document import JointSearch, MeasuredCut
from profiles.reports.pictures.canvas import Canvas, legend_above
from profiles.reports.pictures.chart import Chart, Table, head
from profiles.reports.pictures.palette import MUTED, style


@dataclass(frozen=True, kw_only=True, slots=True)
class CutFamily:
    """Cuts of one kind, ascending in cost."""

    name: str
    cuts: tuple[MeasuredCut, ...]


def cut_families(found: JointSearch) -> tuple[CutFamily, ...]:
    """The frontier of the joint search; of cuts that only remove blocks the best of each number; of those that only use
    fewer experts the ones with the same number everywhere. The whole model is in the last two."""
    whole = found.cuts[0]
    depth: dict[int, MeasuredCut] = {}
    for cut in found.cuts:
        if not cut.top_k and (len(cut.removed) not in depth or cut.drop < depth[len(cut.removed)].drop):
            depth[len(cut.removed)] = cut
    uniform = [
        cut for cut in found.cuts if not cut.removed and len(cut.top_k) > 1 and len({k for _, k in cut.top_k}) == 1
    ]
    return (
        _family("blocks and experts", [cut for cut in found.cuts if cut.on_frontier]),
        _family("blocks only", list(depth.values())),
        _family("experts only", [whole, *uniform]),
    )


def _family(name: str, cuts: Sequence[MeasuredCut]) -> CutFamily:
    return CutFamily(name=name, cuts=tuple(sorted(cuts, key=lambda cut: cut.cost)))


def joint_chart(found: JointSearch) -> Chart:
    """The chart of a joint search."""
    families, whole = cut_families(found), 100 * fmean(found.baselines.values())
    joint = families[0].cuts
    ends = " to ".join(
        f"{cut.cost:.4g} {found.cost_unit} ({whole - 100 * cut.drop:.1f} %)" for cut in (joint[0], joint[-1])
    )
    rows = tuple(
        (
            family.name,
            f"{cut.cost:.4g}",
            f"{whole - 100 * cut.drop:.2f}",
            ", ".join(map(str, cut.removed)) or "none",
            ", ".join(f"{block}:{k}" for block, k in cut.top_k) or "–",
        )
        for family in families
        for cut in family.cuts
    )
    columns = (
        head("kind", right=False),
        head(found.cost_unit),
        head("accuracy, %"),
        head("removed", right=False),
        head("experts per token", right=False),
    )
    return Chart(
        name="joint_search",
        title="Blocks and experts together",
        caption=f"Mean accuracy over {', '.join(found.baselines)} of {len(found.cuts)} cuts measured; the joint "
        f"frontier goes from {ends}.",
        alt=f"Accuracy over {found.cost_unit}: the frontier of cuts that remove blocks and use fewer experts, beside "
        "those that do only one of both.",
        table=Table(columns=columns, rows=rows),
        draw=lambda canvas: _draw(canvas, families, whole, found.cost_unit),
    )


def _draw(canvas: Canvas, families: Sequence[CutFamily], whole: float, unit: str) -> Figure:
    figure, panels = canvas.panels(1, height=4.4 if canvas.columns > 1 else 3.6)
    axes = panels[0]
    for number, family in enumerate(families):
        look = style(number)
        places = [cut.cost for cut in family.cuts], [whole - 100 * cut.drop for cut in family.cuts]
        axes.plot(*places, color=MUTED, linewidth=0.8, zorder=1.5)
        axes.plot(
            *places, linestyle="none", marker=look.marker, markersize=6.0, color=look.color, label=family.name, zorder=3
        )
    axes.set_xlabel(unit)
    axes.set_ylabel("accuracy, %")
    axes.margins(x=0.06, y=0.08)
    legend_above(figure, axes, columns=3 if canvas.columns > 1 else 1)
    return figure
