"""Totals of a replay as text and as a document."""

import dataclasses
from collections.abc import Sequence

from runtime.documents.checked_json import dump_document
from runtime.serving.decisions.totals import Totals
from runtime.text.tables import Column, show_table

_COLUMNS = (
    Column(head="policy", wraps=True),
    Column(head="refused", right=True),
    Column(head="kept %", right=True),
    Column(head="surely %", right=True),
    Column(head="accuracy", right=True),
    Column(head="mean ms", right=True),
    Column(head="p95 ms", right=True),
    Column(head="most chosen"),
)


def replay_table(totals: Sequence[Totals], *, width: int | None) -> str:
    """A row a policy, below them what the columns mean."""
    plain = len({name.partition("/")[2] for one in totals for name in one.variants}) == 1
    rows = [
        (
            one.policy,
            f"{one.refused}",
            _share(one.in_budget, one.budgets),
            _share(one.surely_in_budget, one.budgets),
            "–" if one.accuracy is None else f"{100 * one.accuracy:.1f}",
            _number(one.mean_ms),
            _number(one.p95_ms),
            _most_chosen(one, plain=plain),
        )
        for one in totals
    ]
    return show_table(_COLUMNS, rows, width=width) + f"\n\n{_note(totals[0])}"


def replay_document(totals: Sequence[Totals]) -> str:
    """The same as JSON, with all counts."""
    return dump_document({"policies": [dataclasses.asdict(one) for one in totals]}).decode()


def _note(logged: Totals) -> str:
    return (
        f"{logged.requests} requests, {logged.budgets} with a budget. First row: what happened; others: predicted,\n"
        "behind the queue that each request met. Kept: budgets that the predicted time\n"
        "fits; surely: those that its upper bound fits."
    )


def _most_chosen(one: Totals, *, plain: bool) -> str:
    """The variant, with its type of weights unless there is only one."""
    name = next(iter(one.variants), "–")
    return name.partition("/")[0] if plain else name


def _share(count: int | None, of: int) -> str:
    return "–" if count is None or of == 0 else f"{100 * count / of:.1f}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
