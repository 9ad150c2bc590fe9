"""The document of a joint search: every cut that was measured, with what it costs and loses.

Its format is trimoe's own, "trimoe.joint-search" version 1.
"""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from runtime.documents.checked_json import dump_document, read_document
from runtime.documents.schema import Natural, Positive, Sha256, convert, fields_of, read_fields

FORMAT = "trimoe.joint-search"
VERSION = 1


class MeasuredCut(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cut: blocks removed, (block, experts per token) where not the source's, its cost in the document's unit, its
    accuracy by data set, the mean drop, and whether no other one costs and loses less."""

    removed: tuple[Natural, ...]
    top_k: tuple[tuple[Natural, Positive], ...]
    cost: float
    accuracies: Mapping[str, float]
    drop: float
    on_frontier: bool


class JointSearch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`model` is the digest of the checkpoint, `blocks` how many it has; `baselines` by data set are the whole
    model's; the whole model is the first cut."""

    model: Sha256
    blocks: Positive
    cost_unit: str
    splits: Mapping[str, str]
    metrics: Mapping[str, str]
    samples: Mapping[str, Positive]
    baselines: Mapping[str, float]
    cuts: tuple[MeasuredCut, ...]


def dump_joint_search(found: JointSearch) -> bytes:
    """The bytes of its file."""
    return dump_document({"format": FORMAT, "version": VERSION, **fields_of(found)})


def read_joint_search(path: Path) -> JointSearch:
    """Read and check the file. Raises DocumentError."""
    node = read_fields(read_document(path), format=FORMAT, version=VERSION, what="a joint search of trimoe")
    return convert(node, JointSearch)
