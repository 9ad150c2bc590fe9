"""What the pruning study reports of MolmoE-1B: mean drops of accuracy by removed blocks, without per-sample scores.

The format is trimoe's own, "trimoe.study-drops" version 1; each document names the study's document it was copied from.
"""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from runtime.documents.checked_json import Node, read_document
from runtime.documents.schema import Fraction, Natural, Positive, convert, read_fields

FORMAT = "trimoe.study-drops"
VERSION = 1


class Provenance(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a document's figures come from: its title, the sections they were copied from, and what is known of how
    they were measured."""

    title: str
    sections: tuple[str, ...]
    notes: tuple[str, ...]


class StudyDrop(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One reported drop, as a fraction: mean over `count` data sets and the population spread over them, both as
    printed.

    `datasets` are their names where the study gives them, `accuracy` the mean accuracy that remains, `places` the lists
    it appears in.
    """

    removed: tuple[Natural, ...]
    mean: Fraction
    std: Fraction | None
    count: Positive
    datasets: tuple[str, ...] | None
    accuracy: Fraction | None
    places: tuple[str, ...]


class StudyDrops(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The document: drops of one model, said by name, architecture (`family` on disk), blocks and parameters, and the
    metric of each data set."""

    model: str
    architecture: str = field(name="family")
    blocks: Positive
    parameters: Positive
    provenance: Provenance
    metrics: Mapping[str, str]
    drops: tuple[StudyDrop, ...]


def read_study_drops(path: Path) -> StudyDrops:
    """Read and check a document. Raises DocumentError with the key path of what is wrong."""
    node = read_fields(read_document(path), format=FORMAT, version=VERSION, what="the drops of a study")
    study = convert(node, StudyDrops)
    for place, drop in zip(node.require("drops").elements(), study.drops, strict=True):
        _check_drop(place, drop, study.blocks)
    return study


def _check_drop(node: Node, drop: StudyDrop, blocks: int) -> None:
    for place in node.require("removed").elements():
        place.integer(maximum=blocks - 1)
    if list(drop.removed) != sorted(set(drop.removed)):
        node.require("removed").fail("expected distinct blocks in ascending order")
    if drop.datasets is not None and len(drop.datasets) != drop.count:
        node.require("datasets").fail(f"{len(drop.datasets)} names for {drop.count} data sets")
