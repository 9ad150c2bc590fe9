"""The study's reported drops beside the measured ones, as text and as a document."""

from collections.abc import Sequence
from typing import Any

from profiles.accuracy.gate.study_check import DropCheck


def show_checks(title: str, checks: Sequence[DropCheck]) -> str:
    """A line a reported drop, in points; below one that was not measured, the reason."""
    lines = [title, f"  {'removed':<14} {'study':>6} {'spread':>6} {'sets':>4} {'now':>6} {'interval':<16} verdict"]
    for check in checks:
        claim, drop = check.claim, check.drop
        spread = "" if claim.std is None else f"{100 * claim.std:.2f}"
        now = "" if drop is None else f"{100 * drop.mean:.2f}"
        interval = "" if drop is None else f"[{100 * drop.low:.2f}, {100 * drop.high:.2f}]"
        removed = ",".join(map(str, claim.removed)) or "none"
        lines.append(
            f"  {removed:<14} {100 * claim.mean:>6.2f} {spread:>6} {claim.count:>4} {now:>6} {interval:<16} "
            f"{check.verdict}"
        )
        lines += [f"    {check.reason}"] if check.reason else []
    return "\n".join(lines) + "\n"


def check_document(check: DropCheck) -> dict[str, Any]:
    """A check as JSON fields."""
    drop = check.drop
    return {
        "variant": check.variant,
        "removed": check.claim.removed,
        "datasets": None if drop is None else drop.datasets,
        "study": check.claim.mean,
        "measured": None if drop is None else drop.mean,
        "interval": None if drop is None else (drop.low, drop.high),
        "verdict": check.verdict,
        "reason": check.reason or None,
    }
