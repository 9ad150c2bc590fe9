"""The gate's outcome as text and as a document."""

from collections.abc import Sequence
from typing import Any

from profiles.accuracy.gate.compare import FAIL, PASS, Comparison, worst_verdict
from profiles.reports.score_table import points
from runtime.text.tables import Column, show_table
from runtime.text.terminal import wrapped

COLUMNS = (
    Column(head="data set"),
    Column(head="base", right=True),
    Column(head="now", right=True),
    Column(head="change", right=True),
    Column(head="at worst", right=True),
    Column(head="p", right=True),
    Column(head="verdict", wraps=True),
)


def show_comparisons(
    title: str, comparisons: Sequence[Comparison], *, width: int | None, notes: Sequence[str] = ()
) -> str:
    """Task types apart, a row a data set, in points; then the verdict with the data set that decides, how often a drop
    to be caught is found, and notes. Lines have at most `width` columns (None: nothing is wrapped)."""
    tasks = list(dict.fromkeys(one.task for one in comparisons))
    ordered = sorted(comparisons, key=lambda one: tasks.index(one.task))
    table = show_table(COLUMNS, [_row(one) for one in ordered], width=width, groups=[one.task for one in ordered])
    below = (decided(comparisons), chance(comparisons), *(f"differs: {note}" for note in notes))
    return "\n".join([*wrapped(title, width), table, *(line for text in below for line in wrapped(text, width))]) + "\n"


def _row(one: Comparison) -> tuple[str, ...]:
    verdict = f"too few, {one.needed} needed" if one.needed is not None else one.verdict
    changes = (f"{100 * one.change:+.1f}", f"{100 * one.worst:+.1f}")
    return (one.dataset, points(one.baseline), points(one.measured), *changes, f"{one.p:.3g}", verdict)


def decided(comparisons: Sequence[Comparison]) -> str:
    """The verdict in a sentence."""
    verdict = worst_verdict(comparisons)
    worst = min((one for one in comparisons if one.verdict == verdict), key=lambda one: one.change)
    if verdict == PASS:
        return f"pass: drops to be caught are ruled out on every data set, {worst.dataset} is the worst"
    if verdict == FAIL:
        return (
            f"fail: {worst.dataset} dropped by {-100 * worst.change:.1f} points, tolerated are "
            f"{100 * worst.limits.tolerance:g}"
        )
    change = f"{100 * worst.change:+.1f}".replace("-", "−")
    return f"not enough samples to tell: {worst.dataset} needs {worst.needed} if the change stays at {change}"


def chance(comparisons: Sequence[Comparison]) -> str:
    """How often a drop to be caught is found where that is rarest."""
    rarest = min(comparisons, key=lambda one: one.found)
    images = "" if rarest.images == rarest.samples else f" of {rarest.images} images"
    return (
        f"a drop of {100 * rarest.limits.detect:g} points is found in {100 * rarest.found:.0f} % of cases on "
        f"{rarest.dataset} ({rarest.samples} samples{images})"
    )


def comparison_document(one: Comparison) -> dict[str, Any]:
    """A comparison as JSON fields."""
    return {
        "dataset": one.dataset,
        "task": one.task,
        "samples": one.samples,
        "images": one.images,
        "baseline": one.baseline,
        "measured": one.measured,
        "change": one.change,
        "change_at_worst": one.worst,
        "test": one.test,
        "p_holm": one.p,
        "tolerance": one.limits.tolerance,
        "detect": one.limits.detect,
        "alpha": one.limits.alpha,
        "power": one.limits.power,
        "verdict": one.verdict,
        "found": one.found,
        "samples_needed": one.needed,
    }
