"""cross_dataset_analysis.json: every combination that was tried, and the strategies that recommend one for each number of removed blocks."""

import math
from collections.abc import Callable

from exporter.evidence import (
    INDEPENDENT,
    ROBUST,
    STEPWISE,
    RemovalSet,
    data_sets,
    removed_blocks,
    show_blocks,
    show_drop,
    spread,
)
from runtime.documents import Node
from runtime.manifest import DropRecord

TOLERANCE = 1e-6
LEAST_DATASETS = 2


def read_combinations(node: Node, *, blocks: int) -> tuple[RemovalSet, ...]:
    """The combinations of `combination_stats` in file order. Raises DocumentError naming file and place.

    Checked: the key is the text of removed_blocks as a tuple; no set of blocks occurs twice, in whatever order; counts, mean and population
    spread agree with accuracy_drops_by_dataset (1e-6). The last refuses analyses in which one data set counted a combination twice.
    """
    seen: dict[frozenset[int], str] = {}
    found = []
    for key, entry in node.require("combination_stats").items():
        combination = _combination(key, entry, blocks=blocks)
        same = frozenset(combination.blocks)
        if same in seen:
            entry.fail(f"the same blocks as under {seen[same]!r}")
        seen[same] = key
        found.append(combination)
    return tuple(found)


def _combination(key: str, entry: Node, *, blocks: int) -> RemovalSet:
    removed = removed_blocks(entry.require("removed_blocks"), blocks=blocks)
    if str(removed) != key:
        entry.require("removed_blocks").fail(f"{show_blocks(removed)} stands under the key {key!r}")
    count = entry.require("num_removed")
    if count.integer() != len(removed):
        count.fail(f"{count.value}, but removed_blocks lists {len(removed)}")
    names = data_sets(entry.require("datasets"), entry.require("num_datasets_tested"))
    drop = DropRecord(mean=entry.require("avg_accuracy_drop").number(), std=spread(entry.require("std_accuracy_drop")), datasets=names)
    _check_drops(entry, drop)
    return RemovalSet(blocks=tuple(sorted(removed)), drop=drop)


def _check_drops(entry: Node, drop: DropRecord) -> None:
    by_set = entry.require("accuracy_drops_by_dataset")
    drops = {key: value.number() for key, value in by_set.items()}
    if set(drops) != set(drop.datasets):
        by_set.fail(f"data sets {', '.join(sorted(drops)) or 'none'}, but datasets lists {', '.join(drop.datasets)}")
    mean = sum(drops.values()) / len(drops)
    std = math.sqrt(sum((value - mean) * (value - mean) for value in drops.values()) / len(drops))
    for key, stated, computed in (("avg_accuracy_drop", drop.mean, mean), ("std_accuracy_drop", drop.std, std)):
        if not abs(stated - computed) <= TOLERANCE:
            entry.require(key).fail(
                f"{stated}, but accuracy_drops_by_dataset gives {computed} (a combination measured twice in one data set does this)"
            )


def choose_steps(combinations: tuple[RemovalSet, ...], *, strategy: str, min_datasets: int) -> tuple[RemovalSet, ...]:
    """The recommended set for each number of removed blocks that has a candidate, ascending.

    Candidates were tried on at least two data sets and lose accuracy or none (drop ≥ 0). The best of several is the one with the least mean
    drop, at a tie the first in the file.

    - stepwise: the best superset of the step before; where there is none, the best of that size
    - independent: the best of each size
    - robust: the best of each size among those tried on at least `min_datasets` data sets
    """
    least = max(LEAST_DATASETS, min_datasets) if strategy == ROBUST else LEAST_DATASETS
    candidates = [c for c in combinations if c.blocks and len(c.drop.datasets) >= least and c.drop.mean >= 0]
    pick: dict[str, Callable[[list[RemovalSet], list[RemovalSet]], RemovalSet]] = {STEPWISE: _superset, INDEPENDENT: _best, ROBUST: _best}
    steps: list[RemovalSet] = []
    for size in sorted({len(c.blocks) for c in candidates}):
        steps.append(pick[strategy]([c for c in candidates if len(c.blocks) == size], steps))
    return tuple(steps)


def _best(candidates: list[RemovalSet], _: list[RemovalSet]) -> RemovalSet:
    return min(candidates, key=lambda c: c.drop.mean)


def _superset(candidates: list[RemovalSet], steps: list[RemovalSet]) -> RemovalSet:
    supersets = [c for c in candidates if steps and set(c.blocks) > set(steps[-1].blocks)]
    return _best(supersets or candidates, steps)


def note_better_sets(combinations: tuple[RemovalSet, ...], steps: tuple[RemovalSet, ...], *, blocks: int) -> tuple[str, ...]:
    """A note for each step that another set of the same size beats: it loses less and was tried on at least as many data sets."""
    notes = []
    for step in steps:
        rivals = [c for c in combinations if len(c.blocks) == len(step.blocks) and len(c.drop.datasets) >= len(step.drop.datasets) >= LEAST_DATASETS]
        better = [c for c in rivals if 0 <= c.drop.mean < step.drop.mean]
        if better:
            best = min(better, key=lambda c: c.drop.mean)
            depth = blocks - len(step.blocks)
            chosen = f"{show_blocks(step.blocks)}, {show_drop(step.drop)}"
            notes.append(f"blocks {depth}: {show_blocks(best.blocks)} loses {show_drop(best.drop)}, less than the chosen {chosen}")
    return tuple(notes)
