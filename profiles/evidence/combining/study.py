"""A study as a value, from the folder of its searches or from its cross-data-set analysis."""

from collections.abc import Sequence
from pathlib import Path

from exporter.evidence.combinations import read_combinations
from exporter.evidence.evidence import show_blocks
from exporter.evidence.study_files import refuse_measurements
from profiles.errors import MeasurementError
from profiles.evidence.combining.analysis import combine
from profiles.evidence.combining.combination import Combination, Search, Study
from profiles.evidence.combining.read_searches import MOST_BLOCKS, read_searches
from runtime.documents.checked_json import Node, read_document


def read_study(path: Path, *, blocks: int | None = None, split: str | None = None) -> Study:
    """A folder of searches, or a file cross_dataset_analysis.json.

    `blocks` is how many the model has; None takes it from the searches, or else one more than the highest block that
    was removed, which is noted. Raises MeasurementError where several counts contradict each other or a removed block
    is beyond them, and as the readers do.
    """
    if path.is_dir():
        return study_of(read_searches(path, split=split), blocks=blocks, source=str(path))
    node = read_document(path)
    refuse_measurements(node, path=path)
    combinations = _read_analysis(node)
    datasets = tuple(dict.fromkeys(name for one in combinations for name in one.drops))
    count, notes = _blocks(combinations, (), blocks, str(path))
    return Study(combinations=combinations, datasets=datasets, blocks=count, notes=notes, source=str(path))


def study_of(searches: Sequence[Search], *, source: str, blocks: int | None = None) -> Study:
    """The study of these searches."""
    combinations = combine(searches)
    count, notes = _blocks(combinations, searches, blocks, source)
    return Study(
        combinations=combinations,
        datasets=tuple(search.dataset for search in searches),
        blocks=count,
        notes=(*notes, *(note for search in searches for note in search.notes)),
        source=source,
        searches=tuple(searches),
    )


def _blocks(
    combinations: Sequence[Combination], searches: Sequence[Search], asked: int | None, source: str
) -> tuple[int, tuple[str, ...]]:
    """How many blocks the model has, and a note where that was guessed."""
    stated = {search.blocks: search.path for search in searches if search.blocks is not None}
    if asked is not None:
        stated.setdefault(asked, "--blocks")
    if len(stated) > 1:
        said = "; ".join(f"{count} in {place}" for count, place in stated.items())
        raise MeasurementError(f"{source}: of how many blocks the model has there are several answers: {said}")
    highest = max((block for one in combinations for block in one.removed), default=0)
    if not stated:
        guess = f"the model is taken to have {highest + 1} blocks, of which {highest} is the highest that was removed"
        return highest + 1, (f"{guess}; --blocks says otherwise",)
    count = next(iter(stated))
    for one in combinations:
        if one.removed and one.removed[-1] >= count:
            raise MeasurementError(f"{source}: {show_blocks(one.removed)}: the model has blocks 0–{count - 1}")
    return count, ()


def _read_analysis(node: Node) -> tuple[Combination, ...]:
    """The combinations of an analysis, checked as the exporter checks them."""
    checked = read_combinations(node, blocks=MOST_BLOCKS)
    entries = (entry for _, entry in node.require("combination_stats").items())
    return tuple(
        Combination(
            removed=one.blocks,
            drops={name: value.number() for name, value in entry.require("accuracy_drops_by_dataset").items()},
            mean=one.drop.mean,
            std=one.drop.std,
            accuracy=entry.require("avg_accuracy").number(),
        )
        for one, entry in zip(checked, entries, strict=True)
    )
