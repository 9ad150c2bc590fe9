"""The golden files of a variant's safetensors form: what stands in them, and how far a machine may be from them.

A file is of safetensors' format (https://github.com/huggingface/safetensors#format): `logits` [rows, n, vocabulary] at
`positions` [rows, n], the `tokens` [rows, n] that they favour, and `experts.<layer>` [tokens, k]. Its metadata has one
entry, a JSON object of trimoe's own format "trimoe.golden" version 1.
"""

from pathlib import Path

import msgspec

from runtime.documents.checked_json import parse_document
from runtime.documents.schema import Positive, convert, fields_of, read_fields
from runtime.documents.tolerances import GOLDEN
from runtime.errors import DocumentError, VerificationError

FORMAT = "trimoe.golden"
VERSION = 1
LOGITS, POSITIONS, TOKENS, EXPERTS = "logits", "positions", "tokens", "experts."


class Machine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What decides the last bits of a result: library versions, processor, instruction set and number of threads."""

    torch: str
    transformers: str
    cpu: str
    instructions: str
    threads: Positive


class GoldenHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of a golden file is no tensor: the variant, the machine that computed it, and the type it computed in."""

    variant: str
    machine: Machine
    dtype: str


def header_document(header: GoldenHeader) -> dict[str, object]:
    """The header as its metadata entry has it."""
    return {"format": FORMAT, "version": VERSION, **fields_of(header)}


def parse_header(text: str, *, path: Path) -> GoldenHeader:
    """The header from the metadata entry of the file at `path`. Raises VerificationError when it is not one."""
    try:
        node = parse_document(text.encode(), file=f"{path}: metadata")
        return convert(read_fields(node, format=FORMAT, version=VERSION, what="a golden file"), GoldenHeader)
    except DocumentError as error:
        raise VerificationError(str(error)) from error


def allowed_difference(dtype: str) -> float:
    """How far logits computed in that type may be from the golden ones, as a share of the largest |logit|; a type that
    is not known is held to the strictest."""
    return GOLDEN.get(dtype, min(GOLDEN.values()))
