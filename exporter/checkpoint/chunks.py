"""The bytes of tensors in pieces: which source ranges fill each piece and which tensors it belongs to. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from exporter.checkpoint.checkpoint import TensorRecord


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
    """`size` bytes of shard data from data offset `begin` on: the reads that fill them and the tensors they belong
    to."""

    begin: int
    size: int
    reads: tuple[SourceRead, ...]
    parts: tuple[TensorPart, ...]


def split_into_chunks(tensors: Sequence[TensorRecord], chunk_bytes: int) -> Iterator[Chunk]:
    """Cut the data of back-to-back tensors into chunks of at most `chunk_bytes`; adjoining source ranges become one
    read."""
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
