"""Where every byte of a shard stands: its header, the offsets of its tensors, and which source bytes fill its data. Pure."""

import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from exporter.checkpoint import TensorRecord
from exporter.plan import PlannedShard

# Data begins at a multiple of this, so that it can be written past the page cache and mapped page by page.
ALIGNMENT = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceRead:
    """Bytes `offset`… of the source file `file` fill [begin, end) of a chunk."""

    file: str
    offset: int
    begin: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorPart:
    """[begin, end) of a chunk belongs to the tensor number `index` of the shard."""

    index: int
    begin: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """`size` bytes of shard data from data offset `begin` on: the reads that fill them and the tensors they belong to."""

    begin: int
    size: int
    reads: tuple[SourceRead, ...]
    parts: tuple[TensorPart, ...]


def shard_header(shard: PlannedShard) -> bytes:
    """The header of a safetensors file holding the shard's tensors back to back; its length is a multiple of ALIGNMENT."""
    return header_bytes([(t.name, t.source.dtype, t.source.shape, t.source.bytes) for t in shard.tensors], metadata={"format": "pt"})


def header_bytes(tensors: Iterable[tuple[str, str, tuple[int, ...], int]], *, metadata: Mapping[str, str]) -> bytes:
    """A safetensors header for tensors (name, dtype, shape, bytes) laid out back to back; its length is a multiple of ALIGNMENT."""
    entries: dict[str, object] = {"__metadata__": dict(metadata)}
    offset = 0
    for name, dtype, shape, size in tensors:
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    padding = -(8 + len(text)) % ALIGNMENT
    return struct.pack("<Q", len(text) + padding) + text + b" " * padding


def data_bytes(shard: PlannedShard) -> int:
    """The bytes of the shard's tensors, without the header."""
    return sum(tensor.source.bytes for tensor in shard.tensors)


def group_by_data(shards: Sequence[PlannedShard]) -> tuple[tuple[PlannedShard, ...], ...]:
    """The shards in groups whose data is the same bytes (one block at several layers), groups in order of first appearance."""
    groups: dict[tuple[tuple[str, int, int], ...], list[PlannedShard]] = {}
    for shard in shards:
        key = tuple((t.source.file, t.source.begin, t.source.end) for t in shard.tensors)
        groups.setdefault(key, []).append(shard)
    return tuple(tuple(group) for group in groups.values())


def split_into_chunks(tensors: Sequence[TensorRecord], chunk_bytes: int) -> Iterator[Chunk]:
    """Cut the data of back-to-back tensors into chunks of at most `chunk_bytes`; adjoining source ranges become one read."""
    begin = filled = 0
    reads: list[SourceRead] = []
    parts: list[TensorPart] = []
    for index, tensor in enumerate(tensors):
        position = tensor.begin
        while position < tensor.end:
            take = min(tensor.end - position, chunk_bytes - filled)
            _append_read(reads, SourceRead(file=tensor.file, offset=position, begin=filled, end=filled + take))
            parts.append(TensorPart(index=index, begin=filled, end=filled + take))
            position += take
            filled += take
            if filled == chunk_bytes:
                yield Chunk(begin=begin, size=filled, reads=tuple(reads), parts=tuple(parts))
                begin, filled, reads, parts = begin + filled, 0, [], []
    if filled:
        yield Chunk(begin=begin, size=filled, reads=tuple(reads), parts=tuple(parts))


def _append_read(reads: list[SourceRead], read: SourceRead) -> None:
    if reads:
        last = reads[-1]
        if last.file == read.file and last.offset + (last.end - last.begin) == read.offset:
            reads[-1] = SourceRead(file=last.file, offset=last.offset, begin=last.begin, end=read.end)
            return
    reads.append(read)
