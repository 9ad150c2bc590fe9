"""Write the shards of one source block: its bytes are read once, in order, and go to every target file while digests
are taken."""

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from exporter.checkpoint.chunks import Chunk, split_into_chunks
from exporter.checkpoint.reader import SourceReader
from exporter.plan.plan import PlannedShard
from exporter.weights.aligned_file import AlignedBuffer, open_unbuffered, write_at
from exporter.weights.shard_layout import ALIGNMENT, data_bytes, shard_header
from runtime.documents.tensor_digests import ShardDigests, TensorDigest

CHUNK_BYTES = 4 * 1024 * 1024
PART_SUFFIX = ".part"


@dataclass(frozen=True, kw_only=True, slots=True)
class Lanes:
    """What copying needs besides files: a thread pool (digests and system calls run without the interpreter lock) and
    two buffers."""

    pool: ThreadPoolExecutor
    buffers: tuple[AlignedBuffer, AlignedBuffer]


def make_lanes(pool: ThreadPoolExecutor) -> Lanes:
    """Lanes with two buffers of CHUNK_BYTES: one is filled while the other is written."""
    return Lanes(pool=pool, buffers=(AlignedBuffer(CHUNK_BYTES), AlignedBuffer(CHUNK_BYTES)))


class _Target:
    """One shard being written under a temporary name."""

    def __init__(self, shard: PlannedShard, folder: Path) -> None:
        self.shard = shard
        self._final = folder / shard.path
        self._part = self._final.with_name(self._final.name + PART_SUFFIX)
        self._hash = hashlib.sha256()
        header = shard_header(shard)
        self._data_begin = len(header)
        self._descriptor = open_unbuffered(self._part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            buffer = AlignedBuffer(len(header))
            buffer.view[: len(header)] = header
            self._write(buffer.view[: len(header)], 0)
        except BaseException:
            self.close()
            raise
        self._hash.update(header)

    def append(self, view: memoryview, chunk: Chunk) -> None:
        """Write the chunk; a last, odd piece is padded to whole pages and cut off again by `finish`."""
        self._write(view[: chunk.size + -chunk.size % ALIGNMENT], self._data_begin + chunk.begin)
        self._hash.update(view[: chunk.size])

    def _write(self, view: memoryview, offset: int) -> None:
        try:
            write_at(self._descriptor, view, offset)
        except OSError as error:
            error.filename = str(self._final)  # writing to a descriptor knows no name
            raise

    def finish(self, digests: Sequence[str]) -> ShardDigests:
        """Make the file durable under its final name; `digests` are those of its tensors, in order."""
        size = self._data_begin + data_bytes(self.shard)
        os.ftruncate(self._descriptor, size)
        os.fsync(self._descriptor)
        self.close()
        self._part.rename(self._final)
        return describe_shard(
            self.shard, size=size, data_begin=self._data_begin, sha256=self._hash.hexdigest(), digests=digests
        )

    def close(self) -> None:
        """Close the file; harmless when it is closed already."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def describe_shard(
    shard: PlannedShard, *, size: int, data_begin: int, sha256: str, digests: Sequence[str]
) -> ShardDigests:
    """The record of a written shard: where each tensor stands in the file, with its digest."""
    tensors = []
    begin = data_begin
    for tensor, digest in zip(shard.tensors, digests, strict=True):
        end = begin + tensor.source.bytes
        tensors.append(TensorDigest(name=tensor.name, source=tensor.source.name, begin=begin, end=end, sha256=digest))
        begin = end
    return ShardDigests(path=shard.path, size=size, sha256=sha256, tensors=tuple(tensors))


class TensorHasher:
    """The sha256 of each tensor of a shard, fed chunk by chunk."""

    def __init__(self, count: int) -> None:
        """Start `count` digests."""
        self._hashes = [hashlib.sha256() for _ in range(count)]

    def update(self, view: memoryview, chunk: Chunk) -> None:
        """Feed the chunk's bytes to the tensors they belong to."""
        for part in chunk.parts:
            self._hashes[part.index].update(view[part.begin : part.end])

    def hexdigests(self) -> tuple[str, ...]:
        """The digests, in the shard's tensor order."""
        return tuple(h.hexdigest() for h in self._hashes)


def write_shards(
    shards: Sequence[PlannedShard], reader: SourceReader, folder: Path, lanes: Lanes, advance: Callable[[int], None]
) -> tuple[ShardDigests, ...]:
    """Write shards that hold the same data (exporter.weights.shard_layout.group_by_data) below `folder`, durably, each
    under its final name.

    `advance` is called with the bytes written. Raises OSError of the target, SourceChangedError and CheckpointError of
    the source; a file that is not finished keeps its `.part` name.
    """
    targets: list[_Target] = []
    try:
        for shard in shards:
            targets.append(_Target(shard, folder))
        digests = _copy(targets, reader, lanes, advance)
        return tuple(target.finish(digests) for target in targets)
    finally:
        for target in targets:
            target.close()


def _copy(
    targets: Sequence[_Target], reader: SourceReader, lanes: Lanes, advance: Callable[[int], None]
) -> tuple[str, ...]:
    tensors = tuple(tensor.source for tensor in targets[0].shard.tensors)
    hasher = TensorHasher(len(tensors))
    running: list[Future[None]] = []
    try:
        for number, chunk in enumerate(split_into_chunks(tensors, CHUNK_BYTES)):
            view = lanes.buffers[number % 2].view
            reader.read(chunk, view)
            join(running)  # each file and each digest takes its chunks in order; the other buffer is free now
            running = [lanes.pool.submit(target.append, view, chunk) for target in targets]
            running.append(lanes.pool.submit(hasher.update, view, chunk))
            advance(chunk.size * len(targets))
        join(running)
    finally:
        wait(running)  # also when interrupted: nothing may still use the buffers and files
    return hasher.hexdigests()


def join(futures: Sequence[Future[None]]) -> None:
    """Wait for all of them and raise the first error."""
    wait(futures)
    for future in futures:
        future.result()
