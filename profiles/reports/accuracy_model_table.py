"""An accuracy model as a table: what each task loses by what is taken, and how far off predictions are."""

from runtime.documents.accuracy.accuracy_model import AccuracyModel, HeldOut
from runtime.text.tables import Column, show_table

COLUMNS = (
    Column(head="task"),
    Column(head="whole", right=True),
    Column(head="tried on", right=True),
    Column(head="by"),
    Column(head="error", right=True),
    Column(head="covered", right=True),
)


def show_accuracy_model(model: AccuracyModel, *, width: int | None) -> str:
    """A row a task and trial, scores and mean absolute errors in points; at most `width` columns (None: any)."""
    rows = [_row(task.task, task.scores[0].score, one) for task in model.tasks for one in task.held_out]
    head = f"{len(model.settings)} settings measured, intervals at {100 * model.level:g} %"
    return f"{head}\n{show_table(COLUMNS, rows, width=width)}\n"


def _row(task: str, whole: float, one: HeldOut) -> tuple[str, ...]:
    error, covered = f"{100 * one.mean_error:.2f}", f"{100 * one.coverage:.0f} %"
    return (task, f"{100 * whole:.1f}", str(one.settings), one.by, error, covered)
