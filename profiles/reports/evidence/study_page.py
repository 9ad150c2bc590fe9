"""One page with all of a study: what is recommended, every picture with its numbers, and all combinations to
explore."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from exporter.evidence.evidence import show_blocks
from profiles.evidence.combining.recommend import Recommendation
from profiles.evidence.combining.rules import RULES
from profiles.evidence.comparing.overview import Overview
from profiles.reports.evidence.explorer import explorer
from profiles.reports.evidence.pictures.marks import points
from profiles.reports.page.elements import document, facts, figure, table, text
from profiles.reports.pictures.chart import Table, head
from profiles.reports.pictures.drawn import Picture


def study_page(overview: Overview, pictures: Sequence[Picture]) -> bytes:
    """The HTML of the page, which needs nothing outside itself; the same study gives the same bytes."""
    study = overview.study
    links = "".join(f'<li><a href="#{text(one.chart.name)}">{text(one.chart.title)}</a></li>' for one in pictures)
    notes = "".join(f"<li>{text(note)}</li>" for note in _notes(overview))
    return document(
        f"Removing blocks: {Path(study.source).name or study.source}",
        f"{facts(_facts(overview))}"
        f"{table(_recommended(overview), name='Recommended').replace('<details>', '<details open>')}"
        f"{f'<ul>{notes}</ul>' if notes else ''}"
        f'<nav><ul><li><a href="#explorer">All combinations</a></li>{links}</ul></nav>\n'
        f"{explorer(overview)}{''.join(map(figure, pictures))}",
    )


def _facts(overview: Overview) -> Iterator[tuple[str, str]]:
    study, errors = overview.study, overview.recommended.left_out
    yield "results", study.source
    yield "data sets", ", ".join(f"{name} ({overview.types[name]})" for name in study.datasets)
    yield "combinations", f"{len(study.combinations)}, of which {len(overview.candidates)} can be recommended"
    yield "model", f"{study.blocks} blocks; never removed: {show_blocks(overview.recommended.settings.protected)}"
    yield (
        "estimates",
        f"a drop left out is missed by {points(errors.drop_mae)} points on average, {100 * errors.drop_covered:.0f} "
        f"% lie in "
        "their interval",
    )


def _recommended(overview: Overview) -> Table:
    rows = tuple(
        (
            show_blocks(one.combination.removed),
            points(one.combination.mean),
            points(one.combination.std),
            str(one.combination.count),
            f"{points(one.estimate[0])} ({points(one.estimate[1])} to {points(one.estimate[2])})",
            ", ".join(rule for rule in one.rules if rule in RULES),
        )
        for one in _chosen(overview)
    )
    numbers = ("drop, points", "spread", "data sets", "over all data sets, points")
    columns = (head("removed", right=False), *map(head, numbers), head("chosen by", right=False))
    return Table(columns=columns, rows=rows)


def _chosen(overview: Overview) -> list[Recommendation]:
    """The recommendations that some rule chose as the one of its size."""
    every = (one for size in overview.recommended.by_size.values() for one in size)
    return [one for one in every if set(one.rules) & set(RULES)]


def _notes(overview: Overview) -> Iterator[str]:
    for one in _chosen(overview):
        if one.remarks:
            yield f"{show_blocks(one.combination.removed)}: {'; '.join(one.remarks)}"
    yield from overview.study.notes
    yield from overview.recommended.notes
