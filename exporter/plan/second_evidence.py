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
    """A note for each depth at which `other` would remove other blocks than the choice called `label`, or says why it
    cannot tell."""
    notes = []
    named = replace(other, path=other.file)  # notes travel with the family: no paths of this machine in them
    for removal in removals:
        if not removal.removed:
            continue
        try:
            selection = choose_blocks(named, blocks=blocks, protected=protected, depths=(removal.depth,))
        except PlanError as error:
            notes.append(f"blocks {removal.depth}: {other.file} cannot be compared: {error}")
            continue
        theirs = selection.removals[0].removed
        if theirs != removal.removed:
            notes.append(
                f"blocks {removal.depth}: {label} removes {show_blocks(removal.removed)}, {other.file} removes "
                f"{show_blocks(theirs)}"
            )
    return tuple(notes)
