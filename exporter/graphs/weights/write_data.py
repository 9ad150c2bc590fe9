"""Writes the external data file of a family's graphs, streaming from the source: some megabytes in memory, every byte
digested."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from io import FileIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from exporter.checkpoint.safetensors_header import TensorRecord
from exporter.graphs.weights.quantise import group_scales, packed_codes
from exporter.graphs.weights.stored_tensor import (
    ALIGNMENT,
    TYPES,
    ColumnTiles,
    ExpertTiles,
    Fill,
    InterleavedRows,
    QuantisedPart,
    Rows,
    StoredTensor,
    Transposed,
    Values,
    View,
)
from exporter.weights.aligned_file import AlignedBuffer
from exporter.weights.weights_file import WeightsFile
from runtime.documents.tensor_digests import ShardDigests, TensorDigest
from runtime.errors import CheckpointError, SourceChangedError

CHUNK_BYTES = 8 * 1024 * 1024
TURNED_BYTES = 64 * 1024 * 1024
SOURCE_TYPES: dict[str, np.dtype[np.generic]] = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": TYPES["bfloat16"],
}
Array = npt.NDArray[np.generic]


def write_weights(
    source: Path, tensors: Sequence[StoredTensor], folder: Path, name: str, advance: Callable[[int], None]
) -> ShardDigests:
    """Write the tensors, cut from the safetensors files of `source`, to `folder`/`name` at their offsets, durably;
    returns the file's record.

    `advance` is called with the bytes written. Raises CheckpointError for a source type that is no floating-point
    number and for values that do not fit the target's type, SourceChangedError for a source file that is too short,
    OSError.
    """
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    with WeightsFile(folder / name, AlignedBuffer(CHUNK_BYTES)) as file, _Source(source) as reader:
        filled = (tensor for tensor in tensors if not isinstance(tensor.fill, View))
        records = tuple(_write_tensor(file, tensor, reader, advance) for tensor in filled)
        _pad(file)
        written = file.finish()
    return ShardDigests(path=name, size=written.size, sha256=written.sha256, tensors=records)


def _write_tensor(
    file: WeightsFile, tensor: StoredTensor, reader: "_Source", advance: Callable[[int], None]
) -> TensorDigest:
    _pad(file)
    assert file.position == tensor.offset, "tensors are written in the order of their offsets"
    digest = hashlib.sha256()
    for array in _pieces(reader, tensor):
        data = _stored(array, tensor).view(np.uint8).data
        digest.update(data)
        file.write(data)
        advance(len(data))
    return TensorDigest(
        name=tensor.name,
        source=_first_source(tensor.fill),
        begin=tensor.offset,
        end=file.position,
        sha256=digest.hexdigest(),
    )


def _pad(file: WeightsFile) -> None:
    file.write(bytes(-file.position % ALIGNMENT))


def _first_source(fill: Fill) -> str:
    """The name of the first tensor of the source in it, or of the first two that are interleaved."""
    match fill:
        case Values() | View():
            return ""
        case InterleavedRows(pairs=pairs):
            return " ".join(record.name for record in pairs[0])
        case QuantisedPart(rows=rows):
            return _first_source(rows)
        case _:
            return fill.sources[0].name


def _pieces(reader: "_Source", tensor: StoredTensor) -> Iterator[Array]:
    """The numbers of a tensor in the order in which they stand in the file, a few megabytes at a time."""
    match tensor.fill:
        case Values(array=array):
            yield array
        case Rows() | InterleavedRows() as rows:
            yield from _rows(reader, rows)
        case Transposed(sources=sources):
            yield from _columns(reader, sources, tensor.shape)
        case ColumnTiles(sources=sources):
            yield from _column_tiles(reader, sources, tensor.shape)
        case ExpertTiles(sources=sources, tiles=tiles):
            for tile in range(tiles):
                for array in _rows(reader, Rows(sources=sources)):
                    yield np.split(array, tiles, axis=-1)[tile]
        case QuantisedPart(rows=rows, how=how, part=part):
            for array in _rows(reader, rows):
                yield packed_codes(array, how) if part == "packed" else group_scales(array, how)


def _rows(reader: "_Source", rows: Rows | InterleavedRows) -> Iterator[Array]:
    for tensors in rows.pairs if isinstance(rows, InterleavedRows) else ((record,) for record in rows.sources):
        yield from reader.read(tensors)


def _column_tiles(reader: "_Source", sources: tuple[TensorRecord, ...], shape: tuple[int, ...]) -> Iterator[Array]:
    """Tiles [in, columns] of a transposed matrix, each made of as many rows of the source as it has columns."""
    _, width, columns = shape
    waiting: Array | None = None
    for array in _rows(reader, Rows(sources=sources)):
        waiting = array if waiting is None else np.concatenate([waiting, array])
        whole = len(waiting) - len(waiting) % columns
        yield waiting[:whole].reshape(-1, columns, width).transpose(0, 2, 1)
        waiting = waiting[whole:]


def _columns(reader: "_Source", sources: tuple[TensorRecord, ...], shape: tuple[int, ...]) -> Iterator[Array]:
    """A transposed matrix, some rows at a time: each time the whole source matrix is read and its columns are
    picked."""
    count, width = shape
    step = max(1, TURNED_BYTES // (8 * width))
    for begin in range(0, count, step):
        end, column, turned = min(begin + step, count), 0, None
        for array in _rows(reader, Rows(sources=sources)):
            if turned is None:
                turned = np.empty((end - begin, width), array.dtype)
            turned[:, column : column + len(array)] = array[:, begin:end].T
            column += len(array)
        assert turned is not None
        yield turned


def _stored(array: Array, tensor: StoredTensor) -> Array:
    """The values in the tensor's type, contiguous; refuses finite values that would become infinite."""
    target = TYPES[tensor.dtype]
    if array.dtype == target:
        return np.ascontiguousarray(array).reshape(-1)
    with np.errstate(over="ignore"):
        cast = np.ascontiguousarray(array.astype(target)).reshape(-1)
    if target.itemsize < array.dtype.itemsize or target == np.float16:
        lost = np.isfinite(array.reshape(-1).astype(np.float64)) & ~np.isfinite(cast.astype(np.float64))
        if lost.any():
            largest = np.abs(array.reshape(-1)[lost].astype(np.float64)).max()
            raise CheckpointError(
                f"{tensor.name}: {largest:g} does not fit {tensor.dtype}; export this family in another type"
            )
    return cast


class _Source:
    """Reads rows of the tensors of a checkpoint folder, a few megabytes at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, FileIO] = {}

    def __enter__(self) -> "_Source":
        return self

    def __exit__(self, *exception: object) -> None:
        for stream in self._open.values():
            stream.close()

    def read(self, tensors: Sequence[TensorRecord]) -> Iterator[Array]:
        """Arrays [rows, …] that together are the tensor; two tensors come with their rows in turn."""
        shape = tensors[0].shape or (1,)
        row_bytes = tensors[0].bytes // shape[0]
        step = max(1, CHUNK_BYTES // row_bytes)
        for first in range(0, shape[0], step):
            last = min(first + step, shape[0])
            parts = [
                self._range(tensor, first, last, row_bytes).reshape(last - first, *shape[1:]) for tensor in tensors
            ]
            yield parts[0] if len(parts) == 1 else np.stack(parts, 1).reshape(len(parts) * (last - first), *shape[1:])

    def _range(self, tensor: TensorRecord, first: int, last: int, row_bytes: int) -> Array:
        if tensor.dtype not in SOURCE_TYPES:
            kinds = ", ".join(SOURCE_TYPES)
            raise CheckpointError(
                f"{self._folder / tensor.file}: tensor {tensor.name} is {tensor.dtype}; graphs are made from {kinds}"
            )
        if tensor.file not in self._open:
            self._open[tensor.file] = FileIO(self._folder / tensor.file)
        stream, data, done = self._open[tensor.file], bytearray((last - first) * row_bytes), 0
        stream.seek(tensor.begin + first * row_bytes)
        while done < len(data):
            count = stream.readinto(memoryview(data)[done:])
            if not count:
                raise SourceChangedError(
                    f"{self._folder / tensor.file}: ends inside tensor {tensor.name}: the file was changed"
                )
            done += count
        return np.frombuffer(data, SOURCE_TYPES[tensor.dtype])


def read_tensor(folder: Path, tensor: TensorRecord) -> npt.NDArray[np.float32]:
    """A whole (small) tensor of a checkpoint folder as float32. Raises as `write_weights`."""
    with _Source(folder) as source:
        return np.concatenate([piece.astype(np.float32) for piece in source.read((tensor,))]).reshape(tensor.shape)
