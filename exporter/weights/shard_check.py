"""Check written shards, as they are on disk, against the source they were copied from, byte by byte."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from queue import SimpleQueue

from exporter.checkpoint.chunks import Chunk
from exporter.checkpoint.reader import SourceReader
from exporter.plan.plan import PlannedShard
from exporter.weights.aligned_file import AlignedBuffer, open_unbuffered, read_at
from exporter.weights.pipeline import Pipeline
from exporter.weights.shard_layout import ALIGNMENT, data_bytes, shard_header
from exporter.weights.shard_writer import digest_tensors
from runtime.documents.tensor_digests import ShardDigests
from runtime.errors import SourceChangedError, VerificationError

_READ_BUFFERS = 3


class _Written:
    """One written shard, read back from disk rather than from the page cache where the file system allows it."""

    def __init__(self, shard: PlannedShard, folder: Path) -> None:
        self._shard = shard
        self._path = folder / shard.path
        self._header = shard_header(shard)
        self._descriptor = open_unbuffered(self._path, os.O_RDONLY)
        os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def check_header(self) -> None:
        """Raise VerificationError unless size and header are the planned ones."""
        size, found = len(self._header) + data_bytes(self._shard), os.fstat(self._descriptor).st_size
        if found != size:
            raise VerificationError(f"{self._path}: {found} bytes on disk, {size} planned")
        buffer = AlignedBuffer(len(self._header))
        read_at(self._descriptor, buffer.view, 0)
        if buffer.view[: len(self._header)].tobytes() != self._header:
            raise VerificationError(f"{self._path}: the header (bytes 0–{len(self._header)}) is not what was written")

    def check_chunk(self, chunk: Chunk, source: AlignedBuffer, spare: "SimpleQueue[AlignedBuffer]") -> None:
        """Raise VerificationError, naming tensor and bytes, unless the chunk on disk equals `source`."""
        buffer = spare.get()
        try:
            offset = len(self._header) + chunk.begin
            count = read_at(self._descriptor, buffer.view[: chunk.size + -chunk.size % ALIGNMENT], offset)
            if count < chunk.size:
                raise VerificationError(f"{self._path}: ends at byte {offset + count}")
            if not buffer.same(source, 0, chunk.size):
                self._name_difference(chunk, source, buffer)
        finally:
            spare.put(buffer)

    def _name_difference(self, chunk: Chunk, source: AlignedBuffer, buffer: AlignedBuffer) -> None:
        for part in chunk.parts:
            found = buffer.difference(source, part.begin, part.end)
            if found is not None:
                begin, end = (len(self._header) + chunk.begin + position for position in found)
                name = self._shard.tensors[part.index].name
                raise VerificationError(
                    f"{self._path}: tensor {name}: bytes {begin}–{end} of the file differ from the source"
                )

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def compare_with_source(
    shards: Sequence[PlannedShard],
    written: Sequence[ShardDigests],
    reader: SourceReader,
    folder: Path,
    pipeline: Pipeline,
    advance: Callable[[int], None],
) -> None:
    """Compare shards that hold the same data, as they are on disk, with the source: headers, every byte, and the
    digests taken at writing.

    `written[i]` is the record of `shards[i]`. Raises VerificationError naming file, tensor and byte range,
    SourceChangedError when the source no longer has the digests recorded.
    """
    spare: SimpleQueue[AlignedBuffer] = SimpleQueue()
    for _ in range(min(_READ_BUFFERS, len(shards))):
        spare.put(AlignedBuffer(pipeline.chunk_bytes))
    with ExitStack() as stack:
        files = [stack.enter_context(closing(_Written(shard, folder))) for shard in shards]
        for file in files:
            file.check_header()
        digests = digest_tensors(
            [tensor.source for tensor in shards[0].tensors],
            reader,
            pipeline,
            tasks=[_compare_with(file, spare) for file in files],
            advance=lambda count: advance(count * len(files)),
        )
    for record in written:
        for tensor, digest in zip(record.tensors, digests, strict=True):
            if tensor.sha256 != digest:
                raise SourceChangedError(
                    f"source tensor {tensor.source}: no longer the bytes that were copied to {record.path}"
                )


def _compare_with(file: _Written, spare: "SimpleQueue[AlignedBuffer]") -> Callable[[Chunk, AlignedBuffer], None]:
    return lambda chunk, source: file.check_chunk(chunk, source, spare)
