"""What was asked within budgets, as a table."""

from collections.abc import Sequence

from profiles.walkthrough.budgets import Asked
from runtime.text.tables import Column, show_table

COLUMNS = (
    Column(head="question of"),
    Column(head="budget", right=True),
    Column(head="variant"),
    Column(head="predicted", right=True),
    Column(head="took", right=True),
    Column(head="answer", wraps=True),
    Column(head=""),
)


def show_asked(asked: Sequence[Asked], *, width: int | None) -> str:
    """The questions of each level of budgets together; below, what the last one that was refused is told."""
    shown = show_table(COLUMNS, [_row(one) for one in asked], width=width, groups=[one.level for one in asked])
    refused = next((f"Refused: {one.refused}.\n" for one in reversed(asked) if one.refused), "")
    return f"times in milliseconds\n{shown.rstrip()}\n{refused}"


def _row(asked: Asked) -> tuple[str, ...]:
    budget, answer = _show_ms(asked.budget_ms), asked.answer
    if answer is None:
        return (asked.dataset, budget, "–", "", "", "", "refused")
    late = asked.budget_ms is not None and answer.timing.total_ms > asked.budget_ms
    took = f"{_show_ms(answer.timing.total_ms)}{' late' if late else ''}"
    verdict = "right" if asked.right else "wrong"
    return (asked.dataset, budget, answer.variant, _show_ms(answer.predicted_ms), took, answer.text.strip(), verdict)


def _show_ms(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
