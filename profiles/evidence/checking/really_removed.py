"""Whether results say themselves what was really removed: files of configurations, and drops that are all nothing."""

import re
from collections.abc import Iterator
from pathlib import Path

from exporter.evidence.combinations import TOLERANCE
from exporter.evidence.evidence import show_blocks
from profiles.evidence.checking.sources import Sources
from profiles.evidence.combining.combination import Study
from profiles.evidence.combining.read_searches import MOST_BLOCKS
from runtime.documents.checked_json import Node, read_document

_NAME = re.compile(r"beam_search_step(\d+)_blocks(\d+)_removed([\d-]+)\.json")


def contradictions(sources: Sources) -> Iterator[str]:
    """A sentence on everything that contradicts itself in results, and on searches in which nothing was removed."""
    accuracies = {} if sources.study is None else _accuracies(sources.study)
    for path in sources.configurations:
        yield from _configuration(read_document(path), path, sources.blocks, accuracies)
    for search in () if sources.study is None else sources.study.searches:
        if len(search.trials) > 1 and all(trial.drop == 0 for trial in search.trials):
            yield (
                f"{search.path}: all {len(search.trials)} combinations keep exactly the accuracy of the whole model: "
                "nothing was removed, blocks were masked and still ran"
            )
    yield from _sensitivities(sources)


def _accuracies(study: Study) -> dict[tuple[str, str, frozenset[int]], float]:
    return {
        (search.dataset, search.split, frozenset(trial.removed)): trial.accuracy
        for search in study.searches
        for trial in search.trials
    }


def _configuration(
    node: Node, path: Path, blocks: int, accuracies: dict[tuple[str, str, frozenset[int]], float]
) -> Iterator[str]:
    """What does not fit in one file: lists against each other, against the counts, the file's name and the results."""
    active, removed = (
        [one.integer(minimum=0, maximum=MOST_BLOCKS) for one in node.require(f"{name}_block_indices").elements()]
        for name in ("active", "removed")
    )
    total, count = node.require("num_total_blocks").integer(), node.require("num_active_blocks").integer()
    if sorted([*active, *removed]) != list(range(total)):
        yield f"{path}: active {active} and removed {removed} are not the {total} blocks, each once"
    if count != len(active):
        yield f"{path}: num_active_blocks is {count}, {len(active)} are listed: what really ran is not clear"
    if total != blocks:
        yield f"{path}: num_total_blocks is {total}, the model has {blocks}"
    named = _NAME.fullmatch(path.name)
    if named and sorted(map(int, named[3].split("-"))) != sorted(removed):
        yield f"{path}: the name says {named[3]}, removed were {show_blocks(tuple(removed))}"
    stated = accuracies.get((path.parent.parent.name, path.parent.name, frozenset(removed)))
    found = node.require("accuracy").number()
    if stated is not None and abs(stated - found) > TOLERANCE:
        yield f"{path}: accuracy {found}, the results of the search say {stated}"


def _sensitivities(sources: Sources) -> Iterator[str]:
    """Sensitivities against searches of the same data set and split."""
    drops = {
        (search.dataset, search.split, trial.removed): trial.drop
        for search in (() if sources.study is None else sources.study.searches)
        for trial in search.trials
    }
    for one in sources.sensitivities:
        found = one.sensitivity
        drop = drops.get((found.dataset, found.split, (found.block,)))
        if drop is not None and abs(drop - found.importance) > TOLERANCE:
            yield f"{one.path}: block {found.block} loses {found.importance}, in the search on the same samples {drop}"
