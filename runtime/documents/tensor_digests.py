"""The document tensors.json of a family: for each file under weights/, which bytes are which tensor, and their
digests."""

import json
from dataclasses import dataclass
from pathlib import Path

from runtime.documents.checked_json import Node, read_document
from runtime.documents.manifest import relative_path

FORMAT = "trimoe.tensors"
VERSION = 1
FILE_NAME = "tensors.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorDigest:
    """One tensor of a shard: its name there, its name in the source, its bytes `begin`–`end` in the file, the sha256 of
    those bytes."""

    name: str
    source: str
    begin: int
    end: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardDigests:
    """One file under weights/: path relative to the family, size in bytes, sha256 of the whole file, and its tensors in
    file order."""

    path: str
    size: int
    sha256: str
    tensors: tuple[TensorDigest, ...]

    def tensor_at(self, offset: int) -> TensorDigest | None:
        """The tensor that byte `offset` of the file belongs to; None for the header and beyond the end."""
        for tensor in self.tensors:
            if tensor.begin <= offset < tensor.end:
                return tensor
        return None


def dump_shard(shard: ShardDigests) -> str:
    """One shard as JSON on one line (also a journal entry of the export)."""
    return json.dumps(
        {
            "path": shard.path,
            "size": shard.size,
            "sha256": shard.sha256,
            "tensors": [
                {"name": t.name, "source": t.source, "begin": t.begin, "end": t.end, "sha256": t.sha256}
                for t in shard.tensors
            ],
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def read_shard(node: Node) -> ShardDigests:
    """The shard a JSON object describes. Raises DocumentError with the key path of what is wrong."""
    shard = ShardDigests(
        path=relative_path(node.require("path")),
        size=node.require("size").integer(minimum=0),
        sha256=node.require("sha256").sha256(),
        tensors=tuple(_tensor(element) for element in node.require("tensors").elements()),
    )
    end = 0
    for index, tensor in enumerate(shard.tensors):
        if not end <= tensor.begin <= tensor.end <= shard.size:
            node.require("tensors").elements()[index].fail(
                f"bytes {tensor.begin}–{tensor.end} do not follow {end} within {shard.size}"
            )
        end = tensor.end
    return shard


def dump_tensor_digests(shards: tuple[ShardDigests, ...]) -> bytes:
    """The bytes of tensors.json: one shard a line, in the given order."""
    lines = ",\n".join(dump_shard(shard) for shard in shards)
    return f'{{"format":"{FORMAT}","version":{VERSION},"shards":[\n{lines}\n]}}\n'.encode()


def read_tensor_digests(folder: Path) -> tuple[ShardDigests, ...]:
    """Read and check `folder`/tensors.json. Raises DocumentError with the key path of what is wrong, also for unknown
    versions."""
    node = read_document(folder / FILE_NAME)
    if node.require("format").string() != FORMAT:
        node.require("format").fail(f"expected {FORMAT!r}")
    version = node.require("version").integer()
    if version != VERSION:
        node.require("version").fail(f"this trimoe reads version {VERSION}, the file has {version}")
    shards = tuple(read_shard(element) for element in node.require("shards").elements())
    if len({shard.path for shard in shards}) != len(shards):
        node.require("shards").fail("two entries have the same path")
    return shards


def _tensor(node: Node) -> TensorDigest:
    return TensorDigest(
        name=node.require("name").string(),
        source=node.require("source").string(),
        begin=node.require("begin").integer(minimum=0),
        end=node.require("end").integer(minimum=0),
        sha256=node.require("sha256").sha256(),
    )
