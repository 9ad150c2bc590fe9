"""Evidence of a pruning study as values: importance scores, recommended sets of blocks, or a user's own sets."""

from dataclasses import dataclass
from typing import NoReturn

from runtime.documents import Node, shorten
from runtime.manifest import DropRecord

STEPWISE, INDEPENDENT, ROBUST = "stepwise", "independent", "robust"
STRATEGIES = (STEPWISE, INDEPENDENT, ROBUST)
DEFAULT_MIN_DATASETS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class RemovalSet:
    """A set of blocks that was removed together, ascending, and the measured drop of accuracy."""

    blocks: tuple[int, ...]
    drop: DropRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Importance:
    """Scores of blocks in file order, higher = keep. `file` is the file's name, `sha256` of its bytes."""

    file: str
    sha256: str
    scores: tuple[tuple[int, float], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recommendations:
    """One recommended set per number of removed blocks, ascending in that number.

    `kind` is "recommendations" or "cross-dataset-analysis", `strategy` the rule that chose the sets, `notes` what the user must see about them.
    """

    file: str
    sha256: str
    kind: str
    strategy: str
    steps: tuple[RemovalSet, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplicitRemovals:
    """Sets of blocks that the user named, each ascending."""

    sets: tuple[tuple[int, ...], ...]


def block_index(node: Node, *, blocks: int) -> int:
    """The node as a block index of a model with `blocks` blocks."""
    block = node.integer()
    if not 0 <= block < blocks:
        _no_such_block(node, block, blocks)
    return block


def block_key(key: str, node: Node, *, blocks: int) -> int:
    """An object's key as a block index: decimal digits without leading zeros. `node` is the key's value, for the place in errors."""
    if not key.isascii() or not key.isdigit() or str(int(key[:20])) != key:
        node.fail(f"the key {shorten(key)!r} is not a block index")
    if int(key) >= blocks:
        _no_such_block(node, int(key), blocks)
    return int(key)


def _no_such_block(node: Node, block: int, blocks: int) -> NoReturn:
    node.fail(f"no block {block}: the model has blocks 0–{blocks - 1}")


def removed_blocks(node: Node, *, blocks: int) -> tuple[int, ...]:
    """A list of distinct block indices, in file order."""
    found = tuple(block_index(element, blocks=blocks) for element in node.elements())
    for block in found:
        if found.count(block) > 1:
            node.fail(f"block {block} is listed twice")
    return found


def data_sets(names: Node, count: Node) -> tuple[str, ...]:
    """A list of distinct data-set names, sorted (files hold them in hash order), checked against the count that the file states."""
    found = tuple(element.string() for element in names.elements())
    for element in names.elements():
        if not element.string().isprintable():
            element.fail(f"the name {element.value[:40]!a} holds a character that cannot be shown")
    if len(set(found)) != len(found):
        names.fail("a data set is listed twice")
    if count.integer(minimum=1) != len(found):
        count.fail(f"{count.value} data sets, but {names.place} lists {len(found)}")
    return tuple(sorted(found))


def spread(node: Node) -> float:
    """A standard deviation: a number ≥ 0."""
    if node.number() < 0:
        node.fail(f"a spread cannot be negative, found {node.value}")
    return node.number()


def show_blocks(blocks: tuple[int, ...]) -> str:
    """Blocks as messages and notes show them: `[4, 13]`."""
    return str(list(blocks))


def show_drop(drop: DropRecord) -> str:
    """A drop in points with spread and number of data sets: `5.41 ± 4.43 points (7 data sets)`."""
    return f"{drop.mean * 100:.2f} ± {drop.std * 100:.2f} points ({len(drop.datasets)} data sets)"
