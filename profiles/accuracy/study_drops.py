"""What the pruning study reports of MolmoE-1B: mean drops of accuracy by removed blocks, without per-sample scores."""

from dataclasses import dataclass
from pathlib import Path

from runtime.documents.checked_json import Node, read_document

FORMAT = "trimoe.study-drops"
VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Where a document's figures come from: its title, the sections they were copied from, and what is known of how
    they were measured."""

    title: str
    sections: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyDrop:
    """One reported drop, as a fraction: mean over `count` data sets and the population spread over them, both as
    printed.

    `datasets` are their names where the study gives them, `accuracy` the mean accuracy that remains, `places` the lists
    it appears in.
    """

    removed: tuple[int, ...]
    mean: float
    std: float | None
    count: int
    datasets: tuple[str, ...] | None
    accuracy: float | None
    places: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyDrops:
    """The document: drops of one model, said by name, trimoe's family, blocks and parameters, and the metric of each
    data set."""

    model: str
    family: str
    blocks: int
    parameters: int
    provenance: Provenance
    metrics: tuple[tuple[str, str], ...]
    drops: tuple[StudyDrop, ...]


def read_study_drops(path: Path) -> StudyDrops:
    """Read and check a document. Raises DocumentError with the key path of what is wrong."""
    node = read_document(path)
    if node.require("format").string() != FORMAT:
        node.require("format").fail(f"expected {FORMAT!r}: these are not the drops of a study")
    version = node.require("version").integer()
    if version != VERSION:
        node.require("version").fail(f"this trimoe reads version {VERSION}, the file has {version}")
    blocks = node.require("blocks").integer(minimum=1)
    provenance = node.require("provenance")
    return StudyDrops(
        model=node.require("model").string(),
        family=node.require("family").string(),
        blocks=blocks,
        parameters=node.require("parameters").integer(minimum=1),
        provenance=Provenance(
            title=provenance.require("title").string(),
            sections=_texts(provenance.require("sections")),
            notes=_texts(provenance.require("notes")),
        ),
        metrics=tuple(
            (name, node.require("metrics").require(name).string()) for name, _ in node.require("metrics").items()
        ),
        drops=tuple(_drop(entry, blocks) for entry in node.require("drops").elements()),
    )


def _texts(node: Node) -> tuple[str, ...]:
    return tuple(entry.string() for entry in node.elements())


def _fraction(node: Node) -> float:
    value = node.number()
    if not -1 <= value <= 1:
        node.fail(f"{value} is not a fraction")
    return value


def _drop(node: Node, blocks: int) -> StudyDrop:
    std, datasets, accuracy = node.require("std"), node.require("datasets"), node.require("accuracy")
    drop = StudyDrop(
        removed=tuple(entry.integer(minimum=0, maximum=blocks - 1) for entry in node.require("removed").elements()),
        mean=_fraction(node.require("mean")),
        std=None if std.value is None else _fraction(std),
        count=node.require("count").integer(minimum=1),
        datasets=None if datasets.value is None else _texts(datasets),
        accuracy=None if accuracy.value is None else _fraction(accuracy),
        places=_texts(node.require("places")),
    )
    if list(drop.removed) != sorted(set(drop.removed)):
        node.require("removed").fail("expected distinct blocks in ascending order")
    if drop.datasets is not None and len(drop.datasets) != drop.count:
        datasets.fail(f"{len(drop.datasets)} names for {drop.count} data sets")
    return drop
