"""The document tensors.json of a family: for each file under weights/, which bytes are which tensor, and their
digests.

The format is trimoe's own, "trimoe.tensors" version 1. Offsets are those of safetensors' format specification
(https://github.com/huggingface/safetensors#format), but count from the file's first byte, header included.
"""

import json
from pathlib import Path

from msgspec import Struct

from runtime.documents.checked_json import Node, read_document
from runtime.documents.family_layout import TENSORS
from runtime.documents.schema import Natural, RelativePath, Sha256, convert, fields_of, read_fields

FORMAT = "trimoe.tensors"
VERSION = 1


class TensorDigest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tensor of a shard: its name there, its name in the source, its bytes `begin`–`end` in the file, the sha256 of
    those bytes."""

    name: str
    source: str
    begin: Natural
    end: Natural
    sha256: Sha256


class ShardDigests(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file under weights/: path relative to the family, size in bytes, sha256 of the whole file, and its tensors in
    file order."""

    path: RelativePath
    size: Natural
    sha256: Sha256
    tensors: tuple[TensorDigest, ...]

    def tensor_at(self, offset: int) -> TensorDigest | None:
        """The tensor that byte `offset` of the file belongs to; None for the header and beyond the end."""
        for tensor in self.tensors:
            if tensor.begin <= offset < tensor.end:
                return tensor
        return None


class _Document(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole document but its format and version."""

    shards: tuple[ShardDigests, ...]


def dump_shard(shard: ShardDigests) -> str:
    """One shard as JSON on one line (also a journal entry of the export)."""
    return json.dumps(fields_of(shard), ensure_ascii=False, separators=(",", ":"))


def read_shard(node: Node) -> ShardDigests:
    """The shard a JSON object describes. Raises DocumentError with the key path of what is wrong."""
    shard = convert(node, ShardDigests)
    _check_order(node, shard)
    return shard


def _check_order(node: Node, shard: ShardDigests) -> None:
    """The tensors' bytes follow each other within the file."""
    end = 0
    for index, tensor in enumerate(shard.tensors):
        if not end <= tensor.begin <= tensor.end <= shard.size:
            node.require("tensors").elements()[index].fail(
                f"bytes {tensor.begin}–{tensor.end} do not follow {end} within {shard.size}"
            )
        end = tensor.end


def dump_tensor_digests(shards: tuple[ShardDigests, ...]) -> bytes:
    """The bytes of tensors.json: one shard a line, in the given order."""
    lines = ",\n".join(dump_shard(shard) for shard in shards)
    return f'{{"format":"{FORMAT}","version":{VERSION},"shards":[\n{lines}\n]}}\n'.encode()


def read_tensor_digests(folder: Path) -> tuple[ShardDigests, ...]:
    """Read and check `folder`/tensors.json. Raises DocumentError with the key path of what is wrong, also for unknown
    versions, and for a link out of the folder or anything else that is not a regular file."""
    document = read_document(folder / TENSORS, inside=folder)
    node = read_fields(document, format=FORMAT, version=VERSION, what="a list of tensors of trimoe")
    shards = convert(node, _Document).shards
    for place, shard in zip(node.require("shards").elements(), shards, strict=True):
        _check_order(place, shard)
    if len({shard.path for shard in shards}) != len(shards):
        node.require("shards").fail("two entries have the same path")
    return shards
