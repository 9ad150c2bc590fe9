"""The comprehensive report of a study as text."""

from collections.abc import Iterator, Sequence

from exporter.evidence.evidence import show_blocks
from profiles.evidence.comparing.overview import Overview
from profiles.reports.evidence.pictures.marks import points
from profiles.reports.evidence.recommendation_table import show_recommended
from profiles.reports.pictures.chart import Chart, Table
from runtime.text.tables import show_table

WIDTH = 100
MOST_ROWS = 30


def text_report(overview: Overview, charts: Sequence[Chart]) -> str:
    """Recommendations, then what each picture says with the numbers behind it."""
    parts = [_title("Recommendations"), show_recommended(overview.recommended, width=WIDTH)]
    for chart in charts:
        parts += [_title(chart.title), chart.caption, "", *_table(chart.table), ""]
    return "\n".join([*_head(overview), *parts]).rstrip() + "\n"


def _head(overview: Overview) -> Iterator[str]:
    study = overview.study
    yield f"Removing blocks: {study.source}"
    yield f"{len(study.combinations)} combinations, {len(study.datasets)} data sets, {study.blocks} blocks"
    zero = next((one for one in study.combinations if one.removed == (0,)), None)
    if zero is not None:
        yield f"Without block 0: {points(zero.mean)} points lost on {zero.count} data sets; it is never removed"
    for one in study.searches:
        yield f"{one.dataset} ({overview.types[one.dataset]}), {one.split}: {len(one.trials)} combinations, whole "
        "model " + (f"{points(one.baseline)}")
    protected = [block for block in overview.recommended.settings.protected if block]
    if protected:
        yield f"Never removed besides block 0: {show_blocks(tuple(protected))}"


def _title(text: str) -> str:
    return f"\n{text}\n{'=' * len(text)}\n"


def _table(table: Table) -> Iterator[str]:
    yield show_table(table.columns, table.rows[:MOST_ROWS], width=None)
    if len(table.rows) > MOST_ROWS:
        yield f"… and {len(table.rows) - MOST_ROWS} more rows, in the page"
