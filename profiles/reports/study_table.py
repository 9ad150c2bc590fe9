"""The study's reported drops beside the measured ones, as text and as a document."""

from collections.abc import Sequence
from typing import Any

from profiles.accuracy.gate.study_check import DropCheck
from runtime.text.tables import Column, show_table
from runtime.text.terminal import wrapped

COLUMNS = (
    Column(head="removed"),
    Column(head="study", right=True),
    Column(head="spread", right=True),
    Column(head="sets", right=True),
    Column(head="now", right=True),
    Column(head="interval"),
    Column(head="verdict", wraps=True),
)


def show_checks(title: str, checks: Sequence[DropCheck], *, width: int | None) -> str:
    """A row a reported drop, in points; behind the verdict of one that was not measured, the reason. Lines have at most
    `width` columns (None: nothing is wrapped)."""
    table = show_table(COLUMNS, [_row(check) for check in checks], width=width)
    return "\n".join([*wrapped(title, width), table]) + "\n"


def _row(check: DropCheck) -> tuple[str, ...]:
    claim, drop = check.claim, check.drop
    return (
        ",".join(map(str, claim.removed)) or "none",
        f"{100 * claim.mean:.2f}",
        "" if claim.std is None else f"{100 * claim.std:.2f}",
        str(claim.count),
        "" if drop is None else f"{100 * drop.mean:.2f}",
        "" if drop is None else f"[{100 * drop.low:.2f}, {100 * drop.high:.2f}]",
        f"{check.verdict}: {check.reason}" if check.reason else check.verdict,
    )


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
