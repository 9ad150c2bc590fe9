"""cross_dataset_analysis.json, written by the pruning study's cross-data-set analysis of its beam searches: every
combination of removed blocks that was tried."""

import math

from exporter.evidence.evidence import RemovalSet, data_sets, drop_in, fraction, removed_blocks, show_blocks, spread
from runtime.documents.checked_json import Node
from runtime.documents.manifest import DropRecord

TOLERANCE = 1e-6


def read_combinations(node: Node, *, blocks: int) -> tuple[RemovalSet, ...]:
    """The combinations of `combination_stats` in file order. Raises DocumentError naming file and place.

    Checked: the key is the text of removed_blocks as a tuple; no set of blocks occurs twice, in whatever order; drops
    are fractions, see `drop_in`; counts, mean and population spread agree with accuracy_drops_by_dataset (1e-6). The
    last refuses analyses in which one data set counted a combination twice.
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
    listed = entry.require("removed_blocks")
    removed = removed_blocks(listed, blocks=blocks)
    if str(removed) != key:
        listed.fail(f"{show_blocks(removed)} stands under the key {key!r}")
    count = entry.require("num_removed")
    if count.integer() != len(removed):
        count.fail(f"{count.value}, but removed_blocks lists {len(removed)}")
    names = data_sets(entry.require("datasets"), entry.require("num_datasets_tested"))
    return RemovalSet(blocks=tuple(sorted(removed)), drop=_drop(entry, names), place=listed.place)


def _drop(entry: Node, names: tuple[str, ...]) -> DropRecord:
    by_set = entry.require("accuracy_drops_by_dataset")
    drops = {name: drop_in(name, value) for name, value in by_set.items()}
    if set(drops) != set(names):
        by_set.fail(f"data sets {', '.join(sorted(drops)) or 'none'}, but datasets lists {', '.join(names)}")
    limit = max(1.0, *(abs(value) for value in drops.values()))
    stated_mean = fraction(entry.require("avg_accuracy_drop"), limit=limit)
    drop = DropRecord(mean=stated_mean, std=spread(entry.require("std_accuracy_drop"), limit=limit), datasets=names)
    _check_agreement(entry, drop, drops)
    return drop


def _check_agreement(entry: Node, drop: DropRecord, drops: dict[str, float]) -> None:
    mean = sum(drops.values()) / len(drops)
    std = math.sqrt(sum((value - mean) * (value - mean) for value in drops.values()) / len(drops))
    for key, stated, computed in (("avg_accuracy_drop", drop.mean, mean), ("std_accuracy_drop", drop.std, std)):
        if not abs(stated - computed) <= TOLERANCE:
            entry.require(key).fail(
                f"{stated}, but accuracy_drops_by_dataset gives {computed} (a combination measured twice in one "
                "data set does this)"
            )
