"""What a check of evidence found, as text and as JSON fields."""

from typing import Any

from exporter.evidence.evidence import show_blocks
from profiles.evidence.checking.check import Checked
from profiles.evidence.checking.removals import Choice, Cost, Disagreement
from runtime.text.counted import counted
from runtime.text.tables import Column, show_table
from runtime.text.terminal import wrapped


def show_checked(found: Checked, *, width: int | None) -> str:
    """What each source removes, then every finding; lines of at most `width` columns (None: nothing is wrapped)."""
    sizes = sorted({size for one in found.choices for size in one.sets})
    columns = (Column(head="removes", wraps=True), *(Column(head=str(size)) for size in sizes))
    lines = [show_table(columns, [_row(one, sizes) for one in found.choices], width=width)] if found.choices else []
    for title, said in (
        ("disagree", [show_disagreement(one) for one in found.disagreements]),
        ("contradict", list(found.contradictions)),
        ("doubtful", list(found.doubts)),
    ):
        lines += ["", title] if said else []
        for line in said:
            lines += wrapped(f"- {line}", width, indent="  ")
    verdict = "the evidence agrees" if found.agrees else "the evidence does not agree"
    return "\n".join([*lines, "", verdict]) + "\n"


def _row(one: Choice, sizes: list[int]) -> tuple[str, ...]:
    return (one.source, *(",".join(map(str, one.sets[size])) if size in one.sets else "–" for size in sizes))


def show_disagreement(one: Disagreement) -> str:
    """One sentence: who removes what instead of what, and at what cost."""
    theirs, ours = one.instead
    other = f"{one.reference} removes {show_blocks(ours)}"
    said = f"{one.size} removed: {one.source} removes {show_blocks(theirs)} where {other}"
    if one.sure is None:
        return said
    return (
        f"{said}: {show_blocks(one.removed)} {_cost(one.cost)}; {show_blocks(one.wanted)} {_cost(one.wanted_cost)}; "
        f"the latter loses less with a probability of {100 * one.sure:.0f} %"
    )


def _cost(one: Cost) -> str:
    if one.measured is None:
        measured = "was never tried"
    else:
        drop = one.measured
        measured = f"loses {100 * drop.mean:.2f} ± {100 * drop.std:.2f} points ({counted(drop.count, 'data set')})"
    if one.estimate is None:
        return measured
    mean, low, high = (f"{100 * value:.2f}" for value in one.estimate)
    return f"{measured}, over all {mean} [{low}, {high}]"


def checked_fields(found: Checked) -> dict[str, Any]:
    """A check as JSON fields; drops are fractions."""
    return {
        "agrees": found.agrees,
        "choices": [
            {"source": one.source, "removed": {str(size): removed for size, removed in one.sets.items()}}
            for one in found.choices
        ],
        "disagreements": [_fields(one) for one in found.disagreements],
        "contradictions": found.contradictions,
        "doubts": found.doubts,
    }


def _fields(one: Disagreement) -> dict[str, Any]:
    return {
        "num_removed": one.size,
        "reference": one.reference,
        "wanted": one.wanted,
        "source": one.source,
        "removed": one.removed,
        "measured": None if one.cost.measured is None else one.cost.measured.mean,
        "wanted_measured": None if one.wanted_cost.measured is None else one.wanted_cost.measured.mean,
        "estimate": one.cost.estimate,
        "wanted_estimate": one.wanted_cost.estimate,
        "sure": one.sure,
    }
