"""A prepared form as it says of itself what it is: of which family and for which machine, its file of weights, and what
in it belongs to which tensor.

The format is trimoe's own, "trimoe.prepared" version 1; the types below are its definition.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from runtime.documents.checked_json import dump_document, read_document
from runtime.documents.schema import Natural, PlainName, Sha256, convert, fields_of, read_fields
from runtime.engines.prepared.packed_tensors import Packed

FORMAT = "trimoe.prepared"
VERSION = 1
DOCUMENT = "prepared.json"  # in the folder of a prepared form


class Origin(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a prepared form depends on; with another one it is not used. The digests are of the family (its weights and
    variants), of the data file of its graphs in the type `dtype`, and of these graphs; `processor` is the processor's
    name and its features."""

    dtype: PlainName
    family: Sha256
    data: Sha256
    graphs: Sha256
    onnxruntime: str
    processor: tuple[str, ...]

    @property
    def name(self) -> str:
        """A name that no other origin has."""
        digest = hashlib.sha256(dump_document(fields_of(self))).hexdigest()
        return f"{self.dtype}-{digest[:32]}"


class Weights(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file of weights, which begins with the family's data file; `packed_bytes` of it were packed."""

    path: PlainName
    size: Natural
    packed_bytes: Natural
    sha256: Sha256


class PreparedDocument(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A prepared form: what was packed of each tensor, by the tensor's name, and how many `seconds` that took."""

    origin: Origin
    weights: Weights
    tensors: Mapping[str, tuple[Packed, ...]]
    seconds: Annotated[float, Meta(ge=0)]


def dump_prepared(document: PreparedDocument) -> bytes:
    """The document as JSON text."""
    return dump_document({"format": FORMAT, "version": VERSION, **fields_of(document)})


def read_prepared(path: Path) -> PreparedDocument:
    """Read and check one. Raises DocumentError."""
    fields = read_fields(read_document(path), format=FORMAT, version=VERSION, what="a prepared form")
    return convert(fields, PreparedDocument)
