"""pruning_recommendations.json, written by the pruning study's recommendation script from its cross-data-set analysis:
one recommended set of blocks for each number of removed blocks."""

from exporter.evidence.evidence import RemovalSet, data_sets, fraction, removed_blocks, show_blocks, spread
from runtime.documents.checked_json import Node, shorten
from runtime.documents.manifest import DropRecord


def read_steps(node: Node, *, blocks: int) -> tuple[RemovalSet, ...]:
    """The sets, ascending in the number of removed blocks. Raises DocumentError naming file and place.

    Each key is a number of removed blocks, written in digits, and equals the length of its set; keys of an entry beyond
    those read here, such as incremental_drop, are ignored. Drops are fractions, at most 1: the scores of captions
    (CIDEr) can exceed 1, but no set that loses more than 1 on average is recommended, so that a larger number was meant
    as points.
    """
    steps = {}
    for key, entry in node.items():
        if not key.isascii() or not key.isdigit() or key.startswith("0") or len(key) > 9:
            entry.fail(f"the key {shorten(key)!r} is not a number of removed blocks")
        steps[int(key)] = _step(int(key), entry, blocks=blocks)
    if not steps:
        node.fail("holds no recommendation")
    return tuple(steps[count] for count in sorted(steps))


def _step(count: int, entry: Node, *, blocks: int) -> RemovalSet:
    listed = entry.require("removed_blocks")
    removed = removed_blocks(listed, blocks=blocks)
    if len(removed) != count:
        listed.fail(f"{len(removed)} blocks, {show_blocks(removed)}, under the key {count}")
    mean = entry.require("avg_drop")
    if mean.number() < 0:
        mean.fail(f"{mean.value}: a drop below 0 is a gain; a recommended set has a drop of 0 or more")
    drop = DropRecord(
        mean=fraction(mean),
        std=spread(entry.require("std_drop")),
        datasets=data_sets(entry.require("datasets"), entry.require("num_datasets")),
    )
    return RemovalSet(blocks=tuple(sorted(removed)), drop=drop, place=listed.place)
