"""The manifest of a family: what is in the folder, how it was chosen, and what was verified. Written last; its presence
means verified."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

from runtime.documents.check import Check
from runtime.documents.checked_json import Node, dump_document, quote, read_document
from runtime.errors import DocumentError

FORMAT = "trimoe.family"
VERSION = 1
FILE_NAME = "manifest.json"
_KEYS = ("format", "version", "digest", "trimoe", "source", "choice", "variants", "files")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class FileRecord:
    """A file of the family, `path` relative to the family folder. `link_of` names the file whose bytes it shares (hard
    link), if any."""

    path: str
    size: int
    sha256: str
    link_of: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceRecord:
    """The checkpoint a family was cut from. `digest` is the sha256 over config and tensor headers; `synthetic` marks
    random weights."""

    name: str
    family: str
    digest: str
    blocks: int
    experts: int | None
    top_k: int | None
    synthetic: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class EvidenceEntry:
    """A file of evidence: its role ("chosen" or "compared"), kind, name and sha256."""

    role: str
    kind: str
    file: str
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ChoiceRecord:
    """How the removed blocks were chosen: strategy, protected blocks, evidence, and `notes` the user must see (ties,
    disagreements, gaps)."""

    strategy: str
    protected: tuple[int, ...]
    evidence: tuple[EvidenceEntry, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class DropRecord:
    """Measured loss of accuracy (fraction, not points) of a set of removed blocks: mean, population spread over data
    sets, which data sets."""

    mean: float
    std: float
    datasets: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class VariantRecord:
    """A member of the family: `layers[i]` is the source block at layer i, `top_k[i]` its experts per token (None:
    dense)."""

    id: str
    folder: str
    layers: tuple[int, ...]
    removed: tuple[int, ...]
    top_k: tuple[int, ...] | None
    drop: DropRecord | None
    parameters: int
    active_parameters: int
    bytes: int
    shared_bytes: int
    golden: str | None
    checks: tuple[Check, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
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
    fields = _fields(manifest)
    return dump_document({"format": FORMAT, "version": VERSION, "digest": _content_digest(fields), **fields})


def manifest_digest(manifest: Manifest) -> str:
    """The digest that manifest.json states of itself: the sha256 of the document, as trimoe writes it, without the
    digest."""
    return _content_digest(_fields(manifest))


def _content_digest(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(dump_document({"format": FORMAT, "version": VERSION, **fields})).hexdigest()


def _fields(manifest: Manifest) -> dict[str, Any]:
    """The keys of the document; the checks of a variant do not name it again."""
    fields: dict[str, Any] = _plain(asdict(manifest))
    for variant in fields["variants"]:
        for check in variant["checks"]:
            del check["variant"]
    return fields


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


def read_manifest(folder: Path) -> Manifest:
    """Read and check `folder`/manifest.json. Raises DocumentError with the key path of what is wrong, also for unknown
    versions.

    A file whose content is not what its digest says was edited, and is refused.
    """
    node = read_document(folder / FILE_NAME)
    if node.require("format").string() != FORMAT:
        node.require("format").fail(f"expected {FORMAT!r}: this is not a trimoe family")
    version = node.require("version").integer()
    if version != VERSION:
        node.require("version").fail(f"this trimoe reads version {VERSION}, the file has {version}")
    if unknown := [key for key, _ in node.items() if key not in _KEYS]:
        node.fail(f"{quote(unknown[0])} is not a key of a manifest")
    source = _source(node.require("source"))
    manifest = Manifest(
        trimoe=node.require("trimoe").string(),
        source=source,
        choice=_choice(node.require("choice")),
        variants=tuple(_variant(v, source) for v in node.require("variants").elements()),
        files=tuple(_file(f) for f in node.require("files").elements()),
    )
    _check_references(node, manifest)
    _check_digest(node)
    return manifest


def _check_digest(node: Node) -> None:
    stated = node.require("digest").sha256()
    found = _content_digest(
        {key: entry.value for key, entry in node.items() if key not in ("format", "version", "digest")}
    )
    if stated != found:
        node.fail(f"was edited: its digest is {stated}, its content gives {found}")


def _check_references(node: Node, manifest: Manifest) -> None:
    paths = [f.path for f in manifest.files]
    known = set(paths)
    if len(known) != len(paths):
        node.require("files").fail("two entries have the same path")
    if not manifest.variants:
        node.require("variants").fail("a family has at least one variant")
    ids = [v.id for v in manifest.variants]
    if len(set(ids)) != len(ids):
        node.require("variants").fail("two variants have the same id")
    for record in manifest.files:
        if record.link_of is not None and record.link_of not in known:
            node.require("files").fail(f"{record.path}: link_of names {record.link_of}, which is not listed")
    for variant in manifest.variants:
        if variant.golden is not None and variant.golden not in known:
            node.require("variants").fail(f"{variant.id}: golden names {variant.golden}, which is not listed")


def relative_path(node: Node) -> str:
    """The node as a relative POSIX path that stays inside the folder; anything else is refused."""
    text = node.string()
    path = PurePosixPath(text)
    if not text or path.is_absolute() or ".." in path.parts or "\\" in text or "\0" in text or str(path) != text:
        node.fail(f"{text!r} is not a plain relative path inside the folder")
    return text


def _file(node: Node) -> FileRecord:
    link = node.require("link_of")
    return FileRecord(
        path=relative_path(node.require("path")),
        size=node.require("size").integer(minimum=0),
        sha256=node.require("sha256").sha256(),
        link_of=None if link.value is None else relative_path(link),
    )


def _integers(node: Node, *, minimum: int) -> tuple[int, ...]:
    return tuple(element.integer(minimum=minimum) for element in node.elements())


def _optional_integer(node: Node) -> int | None:
    return None if node.value is None else node.integer(minimum=1)


def _source(node: Node) -> SourceRecord:
    return SourceRecord(
        name=node.require("name").string(),
        family=node.require("family").string(),
        digest=node.require("digest").sha256(),
        blocks=node.require("blocks").integer(minimum=1),
        experts=_optional_integer(node.require("experts")),
        top_k=_optional_integer(node.require("top_k")),
        synthetic=node.require("synthetic").boolean(),
    )


def _choice(node: Node) -> ChoiceRecord:
    return ChoiceRecord(
        strategy=node.require("strategy").string(),
        protected=_integers(node.require("protected"), minimum=0),
        evidence=tuple(
            EvidenceEntry(
                role=e.require("role").string(),
                kind=e.require("kind").string(),
                file=e.require("file").string(),
                sha256=e.require("sha256").sha256(),
            )
            for e in node.require("evidence").elements()
        ),
        notes=tuple(n.string() for n in node.require("notes").elements()),
    )


def _drop(node: Node) -> DropRecord | None:
    if node.value is None:
        return None
    return DropRecord(
        mean=node.require("mean").number(),
        std=node.require("std").number(),
        datasets=tuple(d.string() for d in node.require("datasets").elements()),
    )


def _variant(node: Node, source: SourceRecord) -> VariantRecord:
    top_k, golden = node.require("top_k"), node.require("golden")
    variant = VariantRecord(
        id=node.require("id").string(),
        folder=relative_path(node.require("folder")),
        layers=_integers(node.require("layers"), minimum=0),
        removed=_integers(node.require("removed"), minimum=0),
        top_k=None if top_k.value is None else _integers(top_k, minimum=1),
        drop=_drop(node.require("drop")),
        parameters=node.require("parameters").integer(minimum=0),
        active_parameters=node.require("active_parameters").integer(minimum=0),
        bytes=node.require("bytes").integer(minimum=0),
        shared_bytes=node.require("shared_bytes").integer(minimum=0),
        golden=None if golden.value is None else relative_path(golden),
        checks=tuple(
            Check(
                name=c.require("name").string(),
                outcome=c.require("outcome").string(),
                detail=c.require("detail").string(),
            )
            for c in node.require("checks").elements()
        ),
    )
    if variant.top_k is not None and len(variant.top_k) != len(variant.layers):
        top_k.fail(f"{len(variant.top_k)} values for {len(variant.layers)} layers")
    _check_variant(node, variant, source)
    return variant


def _check_variant(node: Node, variant: VariantRecord, source: SourceRecord) -> None:
    """What holds for every variant: a plain id that names its folder, ascending layers from block 0 on, and the rest
    removed."""
    if not _PLAIN_NAME.fullmatch(variant.id):
        node.require("id").fail(f"{quote(variant.id)} is not a plain name of letters, digits, '.', '-' and '_'")
    if variant.folder != f"variants/{variant.id}":
        node.require("folder").fail(f"{quote(variant.folder)}, but the folder of this variant is variants/{variant.id}")
    layers = variant.layers
    if not layers or layers[0] != 0 or any(after <= before for before, after in pairwise(layers)):
        node.require("layers").fail(f"{list(layers)} are not ascending source blocks from block 0 on")
    if layers[-1] >= source.blocks:
        node.require("layers").fail(f"no block {layers[-1]}: the source has blocks 0–{source.blocks - 1}")
    if len(layers) + len(variant.removed) != source.blocks or list(variant.removed) != [
        b for b in range(source.blocks) if b not in layers
    ]:
        node.require("removed").fail(
            f"{list(variant.removed)} and the layers {list(layers)} are not the {source.blocks} blocks of the source"
        )
    if (variant.top_k is None) != (source.top_k is None):
        node.require("top_k").fail(
            "experts per token, but the source has no experts"
            if variant.top_k
            else "missing, but the source has experts"
        )
    if variant.shared_bytes > variant.bytes:
        node.require("shared_bytes").fail(f"{variant.shared_bytes} of {variant.bytes} bytes")
