"""What a search found as text: the best set of each number of removed blocks on each data set."""

from collections.abc import Sequence

from profiles.evidence.measuring.texts import LOG_LIKELIHOOD
from profiles.evidence.searching.search import Found
from runtime.text.tables import Column, show_table

POINTS = 100


def show_search(found: Sequence[Found], *, width: int | None) -> str:
    """A row a data set and number of removed blocks. Drops are in points, of likelihoods in nats a token."""
    columns = [
        Column(head="data set", wraps=True),
        Column(head="removed"),
        Column(head="drop", right=True),
        Column(head="left", right=True),
    ]
    rows, tried = [], sum(len(one.steps) for one in found)
    for one in found:
        scale = 1 if one.metric == LOG_LIKELIHOOD else POINTS
        rows.append([f"{one.dataset} {one.split}", "none", "", f"{scale * one.baseline:.2f}"])
        rows += [
            [
                f"{one.dataset} {one.split}",
                ", ".join(map(str, step.removed)),
                f"{scale * (one.baseline - step.accuracy):.2f}",
                f"{scale * step.accuracy:.2f}",
            ]
            for step in one.best
        ]
    return f"{show_table(columns, rows, width=width).rstrip()}\n{tried} configurations measured\n"
