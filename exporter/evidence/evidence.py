"""Evidence of a pruning study as values: importance scores, recommended sets of blocks, or a user's own sets. The
modules beside this one read the files that the study's scripts write."""

from dataclasses import dataclass
from typing import NoReturn

from runtime.documents.checked_json import Node, shorten
from runtime.documents.manifest import DropRecord

STEPWISE, INDEPENDENT, ROBUST = "stepwise", "independent", "robust"
ANALYSIS = "cross-dataset-analysis"
STRATEGIES = (STEPWISE, INDEPENDENT, ROBUST)
DEFAULT_MIN_DATASETS = 3
LARGEST_CIDER = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RemovalSet:
    """A set of blocks that was removed together, ascending, the measured drop of accuracy, and where in its file the
    blocks stand."""

    blocks: tuple[int, ...]
    drop: DropRecord
    place: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Importance:
    """Scores of blocks in file order, higher = keep. `file` is what notes call the file, `path` what errors do,
    `sha256` is of its bytes."""

    file: str
    path: str
    sha256: str
    scores: tuple[tuple[int, float], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recommendations:
    """One recommended set per number of removed blocks, ascending in that number.

    `kind` is "recommendations" or "cross-dataset-analysis", `strategy` the rule that chose the sets, `notes` what the
    user must see about them. `barred` has one set for each number of removed blocks at which every candidate removes a
    protected block, `beyond` the sets that the stepwise rule would take after the size at which it stops. `file` and
    `path` are as in `Importance`.
    """

    file: str
    path: str
    sha256: str
    kind: str
    strategy: str
    steps: tuple[RemovalSet, ...]
    notes: tuple[str, ...]
    barred: tuple[RemovalSet, ...]
    beyond: tuple[RemovalSet, ...] = ()


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
    """An object's key as a block index: decimal digits without leading zeros. `node` is the key's value, for the place
    in errors."""
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
    """A list of distinct data-set names, sorted (files hold them in hash order), checked against the count that the
    file states."""
    found = tuple(element.string() for element in names.elements())
    for element in names.elements():
        if not element.string().isprintable():
            element.fail(f"the name {element.value[:40]!a} holds a character that cannot be shown")
    if len(set(found)) != len(found):
        names.fail("a data set is listed twice")
    if count.integer(minimum=1) != len(found):
        count.fail(f"{count.value} data sets, but {names.place} lists {len(found)}")
    return tuple(sorted(found))


def fraction(node: Node, *, limit: float = 1.0, reason: str = "") -> float:
    """A drop as a fraction: a number from −limit to limit. Drops in points end here; `reason` is added to that
    message."""
    value = node.number()
    if abs(value) > limit:
        beyond = f"above {limit:g}" if value > 0 else f"below -{limit:g}"
        node.fail(f"{value} is {beyond}: drops are fractions ({value / 100:.4g} is {value:.4g} points){reason}")
    return value


def drop_in(data_set: str, node: Node) -> float:
    """The drop on one data set, a fraction. CIDEr (Vedantam et al., CVPR 2015) is no fraction but goes to 10; captions,
    known by "cap" in the name, may drop by as much."""
    if "cap" in data_set.casefold():
        return fraction(node, limit=LARGEST_CIDER)
    return fraction(node, reason='; only captions, with "cap" in the name of their data set, can lose more, in CIDEr')


def spread(node: Node, *, limit: float = 1.0) -> float:
    """A standard deviation of drops: a number from 0 to limit."""
    if node.number() < 0:
        node.fail(f"a spread cannot be negative, found {node.value}")
    return fraction(node, limit=limit)


def show_blocks(blocks: tuple[int, ...]) -> str:
    """Blocks as messages and notes show them: `[4, 13]`."""
    return str(list(blocks))


def show_drop(drop: DropRecord) -> str:
    """A drop in points with spread and number of data sets: `5.41 ± 4.43 points (7 data sets)`."""
    return f"{drop.mean * 100:.2f} ± {drop.std * 100:.2f} points ({len(drop.datasets)} data sets)"
