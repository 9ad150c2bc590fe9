"""Write the shards of one source block: its bytes are read once, in order, and go to every target file while digests
are taken."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from exporter.checkpoint.checkpoint import TensorRecord
from exporter.checkpoint.chunks import Chunk, split_into_chunks
from exporter.checkpoint.reader import SourceReader
from exporter.plan.plan import PlannedShard
from exporter.weights.aligned_file import AlignedBuffer
from exporter.weights.pipeline import Pipeline
from exporter.weights.shard_layout import data_bytes, shard_header
from exporter.weights.weights_file import WeightsFile, WrittenFile
from runtime.documents.tensor_digests import ShardDigests, TensorDigest


class TensorHasher:
    """The sha256 of each tensor of a shard, fed chunk by chunk."""

    def __init__(self, count: int) -> None:
        """Start `count` digests."""
        self._hashes = [hashlib.sha256() for _ in range(count)]

    def update(self, chunk: Chunk, buffer: AlignedBuffer) -> None:
        """Feed the chunk's bytes, in `buffer`, to the tensors they belong to."""
        for part in chunk.parts:
            self._hashes[part.index].update(buffer.view[part.begin : part.end])

    def hexdigests(self) -> tuple[str, ...]:
        """The digests, in the shard's tensor order."""
        return tuple(h.hexdigest() for h in self._hashes)


def write_shards(
    shards: Sequence[PlannedShard],
    reader: SourceReader,
    folder: Path,
    pipeline: Pipeline,
    advance: Callable[[int], None],
) -> tuple[ShardDigests, ...]:
    """Write shards that hold the same data (exporter.weights.shard_layout.group_by_data) below `folder`, durably, each
    under its final name.

    `advance` is called with the bytes written. Raises OSError of the target, SourceChangedError and CheckpointError of
    the source; a file that is not finished keeps its `.part` name.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(_begin(shard, folder)) for shard in shards]
        digests = digest_tensors(
            [tensor.source for tensor in shards[0].tensors],
            reader,
            pipeline,
            tasks=[_append_to(file) for file in files],
            advance=lambda count: advance(count * len(files)),
        )
        return tuple(_describe(shard, file.finish(), digests) for shard, file in zip(shards, files, strict=True))


def digest_tensors(
    tensors: Sequence[TensorRecord],
    reader: SourceReader,
    pipeline: Pipeline,
    *,
    tasks: Sequence[Callable[[Chunk, AlignedBuffer], None]] = (),
    advance: Callable[[int], None],
) -> tuple[str, ...]:
    """Read tensors of the source once, laid back to back, and hand every chunk to `tasks`; returns the sha256 of each
    tensor.

    `advance` is called with the bytes read. Raises SourceChangedError, CheckpointError, and what the tasks raise.
    """
    hasher = TensorHasher(len(tensors))
    pipeline.run(
        split_into_chunks(tensors, pipeline.chunk_bytes),
        lambda chunk, buffer: reader.read(chunk, buffer.view),
        (*tasks, hasher.update),
        lambda chunk: advance(chunk.size),
    )
    return hasher.hexdigests()


def _begin(shard: PlannedShard, folder: Path) -> WeightsFile:
    header = shard_header(shard)
    file = WeightsFile(folder / shard.path, AlignedBuffer(len(header)))
    try:
        file.write(header)
    except BaseException:
        file.close()
        raise
    return file


def _append_to(file: WeightsFile) -> Callable[[Chunk, AlignedBuffer], None]:
    return lambda chunk, buffer: file.write_pages(buffer.view, chunk.size)


def _describe(shard: PlannedShard, written: WrittenFile, digests: Sequence[str]) -> ShardDigests:
    """The record of a written shard: where each tensor stands in the file, with its digest."""
    tensors = []
    begin = written.size - data_bytes(shard)
    for tensor, digest in zip(shard.tensors, digests, strict=True):
        end = begin + tensor.source.bytes
        tensors.append(TensorDigest(name=tensor.name, source=tensor.source.name, begin=begin, end=end, sha256=digest))
        begin = end
    return ShardDigests(path=shard.path, size=written.size, sha256=written.sha256, tensors=tuple(tensors))
