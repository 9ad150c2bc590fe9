"""The manifest of a family: what is in the folder, how it was chosen, and what was verified. Written last; its presence
means verified.

The format is trimoe's own, "trimoe.family" version 1: the README, "What a family looks like", says what stands in the
folder, the types below say what the document says of it.
"""

import hashlib
import os
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from runtime.documents.check import Check
from runtime.documents.checked_json import Node, dump_document, quote, read_document
from runtime.documents.family_layout import (
    AUXILIARY,
    CONFIG,
    GOLDEN,
    MANIFEST,
    STANDALONE,
    TENSORS,
    VARIANTS,
    WEIGHTS,
    variant_folder,
)
from runtime.documents.schema import Natural, PlainName, Positive, RelativePath, Sha256, convert, fields_of, read_fields
from runtime.errors import DocumentError

FORMAT = "trimoe.family"
VERSION = 1


class FileRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of the family, `path` relative to the family folder. `link_of` names the file whose bytes it shares (hard
    link), if any."""

    path: RelativePath
    size: Natural
    sha256: Sha256
    link_of: RelativePath | None


class SourceRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The checkpoint a family was cut from: its folder's name and its architecture (`family` on disk). `digest` is the
    sha256 over config and tensor headers; `synthetic` marks random weights."""

    name: str
    architecture: str = field(name="family")
    digest: Sha256
    blocks: Positive
    experts: Positive | None
    top_k: Positive | None
    synthetic: bool


class EvidenceEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of evidence: its role ("chosen" or "compared"), kind, name and sha256."""

    role: str
    kind: str
    file: str
    sha256: Sha256


class ChoiceRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the removed blocks were chosen: strategy, protected blocks, evidence, and `notes` the user must see (ties,
    disagreements, gaps)."""

    strategy: str
    protected: tuple[Natural, ...]
    evidence: tuple[EvidenceEntry, ...]
    notes: tuple[str, ...]


class DropRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Measured loss of accuracy (fraction, not points) of a set of removed blocks: mean, population spread over data
    sets, which data sets."""

    mean: float
    std: float
    datasets: tuple[str, ...]


class VariantRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A member of the family: `layers[i]` is the source block at layer i, `top_k[i]` its experts per token (None:
    dense)."""

    id: PlainName
    folder: RelativePath
    layers: tuple[Natural, ...]
    removed: tuple[Natural, ...]
    top_k: tuple[Positive, ...] | None
    drop: DropRecord | None
    parameters: Natural
    active_parameters: Natural
    bytes: Natural
    shared_bytes: Natural
    golden: RelativePath | None
    checks: tuple[Check, ...]


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The family document. `files` lists every file of the folder but the manifest itself."""

    trimoe: str
    source: SourceRecord
    choice: ChoiceRecord
    variants: tuple[VariantRecord, ...]
    files: tuple[FileRecord, ...]

    def variant(self, variant_id: str) -> VariantRecord:
        """The variant of that id; DocumentError names the ids there are."""
        for variant in self.variants:
            if variant.id == variant_id:
                return variant
        raise DocumentError(
            f"no variant {variant_id!r} in this family; it has {', '.join(v.id for v in self.variants)}"
        )


def dump_manifest(manifest: Manifest) -> bytes:
    """The bytes of manifest.json, its own digest among them."""
    fields = fields_of(manifest)
    return dump_document({"format": FORMAT, "version": VERSION, "digest": _content_digest(fields), **fields})


def manifest_digest(manifest: Manifest) -> str:
    """The digest that manifest.json states of itself: the sha256 of the document, as trimoe writes it, without the
    digest."""
    return _content_digest(fields_of(manifest))


def _content_digest(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(dump_document({"format": FORMAT, "version": VERSION, **fields})).hexdigest()


def what_instead(folder: Path) -> str:
    """What a folder without a manifest is instead of a family, and what to give in its place."""
    family = folder.absolute().parent.parent
    if os.path.lexists(folder / STANDALONE / MANIFEST):
        takers = "`trimoe verify`, `trimoe serve` and Variant.load"
        return f"a variant that was copied out of a family: {takers} take it, all else wants a family"
    if folder.absolute().parent.name == VARIANTS and os.path.lexists(family / MANIFEST):
        return f"a variant of the family {family}: give that folder and --variant {folder.name}"
    if os.path.lexists(folder / CONFIG):
        return "a single model, not a family: export it, and give the family that this makes"
    if any(os.path.lexists(folder / name) for name in (WEIGHTS, VARIANTS, GOLDEN, AUXILIARY, TENSORS)):
        return "an unfinished copy of a family, or one whose manifest was lost: copy or export it again"
    return "not a family that trimoe exported"


def read_manifest(folder: Path) -> Manifest:
    """Read and check `folder`/manifest.json. Raises DocumentError with the key path of what is wrong, also for unknown
    versions, and for a link out of the folder or anything else that is not a regular file; for a folder without one it
    says what the folder is instead.

    A file whose content is not what its digest says was edited, and is refused.
    """
    if folder.is_dir() and not os.path.lexists(folder / MANIFEST):
        raise DocumentError(f"{folder}: no {MANIFEST}: {what_instead(folder)}")
    document = read_document(folder / MANIFEST, inside=folder)
    node = read_fields(document, format=FORMAT, version=VERSION, what="a trimoe family")
    content = node.without("digest")
    digest, manifest = node.require("digest").string(), convert(content, Manifest)
    for place, variant in zip(node.require("variants").elements(), manifest.variants, strict=True):
        _check_variant(place, variant, manifest.source)
    _check_names(node, manifest)
    _check_references(node, manifest)
    if digest != (found := _content_digest(content.value)):
        node.fail(f"was edited: its digest is {digest}, its content gives {found}")
    return manifest


def _check_names(node: Node, manifest: Manifest) -> None:
    """No two files have the same path, no two variants the same id, and there is a variant."""
    if not manifest.variants:
        node.require("variants").fail("a family has at least one variant")
    if len({file.path for file in manifest.files}) != len(manifest.files):
        node.require("files").fail("two entries have the same path")
    if len({variant.id for variant in manifest.variants}) != len(manifest.variants):
        node.require("variants").fail("two variants have the same id")


def _check_references(node: Node, manifest: Manifest) -> None:
    """The files that links and variants name are listed."""
    known = {file.path for file in manifest.files}
    for file in manifest.files:
        if file.link_of is not None and file.link_of not in known:
            node.require("files").fail(f"{file.path}: link_of names {file.link_of}, which is not listed")
    for variant in manifest.variants:
        if variant.golden is not None and variant.golden not in known:
            node.require("variants").fail(f"{variant.id}: golden names {variant.golden}, which is not listed")


def _check_variant(node: Node, variant: VariantRecord, source: SourceRecord) -> None:
    """What holds for every variant: its id names its folder, and its layers, removed blocks, experts and bytes agree
    with the source and each other."""
    folder = variant_folder(variant.id)
    if variant.folder != folder:
        node.require("folder").fail(f"{quote(variant.folder)}, but the folder of this variant is {folder}")
    _check_layers(node, variant, source.blocks)
    _check_top_k(node.require("top_k"), variant, source)
    if variant.shared_bytes > variant.bytes:
        node.require("shared_bytes").fail(f"{variant.shared_bytes} of {variant.bytes} bytes")


def _check_layers(node: Node, variant: VariantRecord, blocks: int) -> None:
    """The layers are ascending source blocks from block 0 on, and the rest of the source's is removed."""
    layers, removed = list(variant.layers), list(variant.removed)
    if not layers or layers[0] != 0 or any(after <= before for before, after in pairwise(layers)):
        node.require("layers").fail(f"{layers} are not ascending source blocks from block 0 on")
    if layers[-1] >= blocks:
        node.require("layers").fail(f"no block {layers[-1]}: the source has blocks 0–{blocks - 1}")
    if len(layers) + len(removed) != blocks or removed != [b for b in range(blocks) if b not in layers]:
        node.require("removed").fail(f"{removed} and the layers {layers} are not the {blocks} blocks of the source")


def _check_top_k(node: Node, variant: VariantRecord, source: SourceRecord) -> None:
    """Every layer has its experts per token where the source has experts, and none has where it has none."""
    if variant.top_k is not None and len(variant.top_k) != len(variant.layers):
        node.fail(f"{len(variant.top_k)} values for {len(variant.layers)} layers")
    if (variant.top_k is None) != (source.top_k is None):
        node.fail(
            "missing, but the source has experts"
            if variant.top_k is None
            else "experts per token, but the source has no experts"
        )
