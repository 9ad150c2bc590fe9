"""The gate's outcome as text and as a document."""

from collections.abc import Sequence
from typing import Any

from profiles.accuracy.gate.compare import FAIL, PASS, Comparison, worst_verdict
from profiles.reports.score_table import points


def show_comparisons(title: str, comparisons: Sequence[Comparison]) -> str:
    """Task types apart, a line a data set, in points; then the verdict with the data set that decides."""
    lines = [title, f"  {'data set':<15} {'base':>6} {'now':>6} {'change':>7} {'at worst':>8} {'p':>7}  verdict"]
    for task in dict.fromkeys(one.task for one in comparisons):
        lines.append(f" {task}")
        lines += [_line(one) for one in comparisons if one.task == task]
    lines.append(f"  {decided(comparisons)}")
    return "\n".join(lines) + "\n"


def _line(one: Comparison) -> str:
    verdict = f"too few, {one.needed} needed" if one.needed is not None else one.verdict
    scores = f"{points(one.baseline):>6} {points(one.measured):>6} {100 * one.change:>+7.1f} {100 * one.worst:>+8.1f}"
    return f"  {one.dataset:<15} {scores} {one.p:>7.3g}  {verdict}"


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


def comparison_document(one: Comparison) -> dict[str, Any]:
    """A comparison as JSON fields."""
    return {
        "dataset": one.dataset,
        "task": one.task,
        "samples": one.samples,
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
        "samples_needed": one.needed,
    }
