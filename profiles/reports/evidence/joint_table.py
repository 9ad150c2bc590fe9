"""What a joint search found as text: the best accuracy at each cost."""

from profiles.evidence.searching.joint_document import JointSearch
from runtime.text.tables import Column, show_table

POINTS = 100


def show_joint_search(found: JointSearch, *, width: int | None) -> str:
    """A row a cut on the frontier, the cheapest first."""
    columns = [
        Column(head=found.cost_unit, right=True),
        Column(head="drop", right=True),
        Column(head="removed"),
        Column(head="experts per token where not the source's", wraps=True),
    ]
    best = sorted((one for one in found.cuts if one.on_frontier), key=lambda one: one.cost)
    rows = [
        [
            f"{one.cost:.3f}",
            f"{POINTS * one.drop:.2f}",
            ", ".join(map(str, one.removed)) or "none",
            ", ".join(f"{block}:{k}" for block, k in one.top_k) or "–",
        ]
        for one in best
    ]
    names = ", ".join(found.baselines)
    return (
        f"{show_table(columns, rows, width=width).rstrip()}\n{len(found.cuts)} cuts measured on {names}; drops are "
        "means in points\n"
    )
