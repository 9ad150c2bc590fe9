"""Suggested variants as a table, each with what `trimoe export` takes for it."""

from collections.abc import Sequence

from profiles.evidence.accuracy_model.suggest import Suggestion
from runtime.documents.manifest import SourceRecord
from runtime.serving.elastic import elastic_id
from runtime.text.tables import Column, show_table
from runtime.text.terminal import wrapped

COLUMNS = (
    Column(head="variant"),
    Column(head="ms", right=True),
    Column(head="score", right=True),
    Column(head="at least", right=True),
    Column(head="best now", right=True),
    Column(head="gain", right=True),
)


def show_suggestions(found: Sequence[Suggestion], source: SourceRecord, *, width: int | None) -> str:
    """Scores and expected gains in points, then the options of an export; at most `width` columns (None: any)."""
    if not found:
        return "nothing within the budget that the family has not\n"
    rows = [_row(one, source) for one in found]
    lines = [show_table(COLUMNS, rows, width=width), ""]
    for one in found:
        lines += wrapped(f"{_name(one, source)}: trimoe export … {_options(one, source)}", width)
    return "\n".join(lines) + "\n"


def _row(one: Suggestion, source: SourceRecord) -> tuple[str, ...]:
    best = "none" if one.best is None else f"{100 * one.best:.1f}"
    scores = (f"{100 * one.score:.1f}", f"{100 * one.low:.1f}", best, f"{100 * one.gain:+.2f}")
    return (_name(one, source), f"{one.ms:.1f}", *scores)


def _name(one: Suggestion, source: SourceRecord) -> str:
    return elastic_id(one.setting, blocks=source.blocks, top_k=source.top_k or 0)


def _options(one: Suggestion, source: SourceRecord) -> str:
    experts = dict(zip(one.setting.layers, one.setting.top_k, strict=True))
    removed = ",".join(str(block) for block in range(source.blocks) if block not in experts) or "none"
    values = ",".join(str(experts.get(block, source.top_k)) for block in range(source.blocks))
    return f"--remove {removed} --top-k-list {values}"
