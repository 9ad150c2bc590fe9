"""Comparing a second evidence file with the choice that was made: every disagreement becomes a note. Pure."""

from dataclasses import replace

from exporter.evidence.evidence import Importance, Recommendations, show_blocks
from exporter.plan.blocks import Removal, choose_blocks
from runtime.errors import PlanError


def compare_evidence(
    other: Importance | Recommendations,
    *,
    label: str,
    removals: tuple[Removal, ...],
    blocks: int,
    protected: tuple[int, ...],
) -> tuple[str, ...]:
    """One note on all depths at which `other` would remove other blocks than the choice called `label`, or cannot
    tell; none where they agree."""
    named = replace(other, path=other.file)  # notes travel with the family: no paths of this machine in them
    said, unknown = [], []
    for removal in removals:
        if not removal.removed:
            continue
        try:
            selection = choose_blocks(named, blocks=blocks, protected=protected, depths=(removal.depth,))
        except PlanError:
            unknown.append(removal.depth)
            continue
        theirs = selection.removals[0].removed
        if theirs != removal.removed:
            said.append(
                f"blocks {removal.depth}: {label} removes {show_blocks(removal.removed)}, {other.file} removes "
                f"{show_blocks(theirs)}"
            )
    if unknown:
        said.append(_why_unknown(named, tuple(unknown), blocks=blocks, protected=protected))
    return ("; ".join(said),) if said else ()


def _why_unknown(
    other: Importance | Recommendations, depths: tuple[int, ...], *, blocks: int, protected: tuple[int, ...]
) -> str:
    try:
        choose_blocks(other, blocks=blocks, protected=protected, depths=depths)
    except PlanError as error:
        return f"blocks {', '.join(map(str, depths))}: {other.file} cannot be compared: {error}"
    raise AssertionError("what cannot be chosen one by one cannot be chosen together")
