"""What was asked under budgets, as a table."""

from collections.abc import Sequence

from profiles.walkthrough.budgets import Asked, Budget
from runtime.text.tables import Column, show_table

COLUMNS = (
    Column(head="question of"),
    Column(head="variant"),
    Column(head="predicted", right=True),
    Column(head="took", right=True),
    Column(head="answer", wraps=True),
    Column(head=""),
)


def show_budgets(budgets: Sequence[Budget], *, width: int | None) -> str:
    """A group of lines for each budget; what was refused is said below."""
    rows = [(budget, asked) for budget in budgets for asked in budget.asked]
    groups = [_head(budget) for budget, _ in rows]
    shown = show_table(COLUMNS, [_row(budget, asked) for budget, asked in rows], width=width, groups=groups)
    refusals = [f"{_head(budget)}: refused: {budget.refused}\n" for budget in budgets if budget.refused]
    return shown + "".join(refusals)


def _head(budget: Budget) -> str:
    return "without a budget" if budget.ms is None else f"within {budget.ms:.1f} ms"


def _row(budget: Budget, asked: Asked) -> tuple[str, ...]:
    answer = asked.answer
    late = " late" if budget.ms is not None and answer.timing.total_ms > budget.ms else ""
    predicted = "–" if answer.predicted_ms is None else f"{answer.predicted_ms:.1f} ms"
    took = f"{answer.timing.total_ms:.1f} ms{late}"
    return (asked.dataset, answer.variant, predicted, took, answer.text.strip(), "right" if asked.right else "wrong")
