"""Where every byte of a shard stands: its header, the offsets of its tensors, and which source bytes fill its data.
Pure."""

import json
import struct
from collections.abc import Iterable, Mapping, Sequence

from exporter.plan.plan import PlannedShard

# Data begins at a multiple of this, so that it can be written past the page cache and mapped page by page.
ALIGNMENT = 4096


def shard_header(shard: PlannedShard) -> bytes:
    """The header of a safetensors file holding the shard's tensors back to back; its length is a multiple of
    ALIGNMENT."""
    return header_bytes(
        [(t.name, t.source.dtype, t.source.shape, t.source.bytes) for t in shard.tensors], metadata={"format": "pt"}
    )


def header_bytes(tensors: Iterable[tuple[str, str, tuple[int, ...], int]], *, metadata: Mapping[str, str]) -> bytes:
    """A safetensors header for tensors (name, dtype, shape, bytes) laid out back to back; its length is a multiple of
    ALIGNMENT."""
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
    """The shards in groups whose data is the same bytes (one block at several layers), groups in order of first
    appearance."""
    groups: dict[tuple[tuple[str, int, int], ...], list[PlannedShard]] = {}
    for shard in shards:
        key = tuple((t.source.file, t.source.begin, t.source.end) for t in shard.tensors)
        groups.setdefault(key, []).append(shard)
    return tuple(tuple(group) for group in groups.values())
