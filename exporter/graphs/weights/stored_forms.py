"""How tensors of the source are stored for the graphs: stacked, transposed, in column tiles or quantised. Pure."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from exporter.checkpoint.safetensors_header import TensorRecord
from exporter.graphs.weights.precision import Precision, group_size
from exporter.graphs.weights.stored_tensor import (
    ColumnTiles,
    InterleavedRows,
    Quantisation,
    QuantisedPart,
    Rows,
    StoredTensor,
    Transposed,
    Values,
)

TILE_COLUMNS = 64
TILED_VALUES = 2**18  # of a matrix, the least: to read smaller ones well saves less than the further nodes take


def constant(name: str, values: npt.NDArray[np.generic], dtype: str) -> StoredTensor:
    """Numbers that the source has no tensor for."""
    return StoredTensor(name=name, dtype=dtype, shape=values.shape, fill=Values(array=values))


def stacked(name: str, tensors: Sequence[TensorRecord], dtype: str) -> StoredTensor:
    """Tensors one below the other."""
    return StoredTensor(name=name, dtype=dtype, shape=_stacked_shape(tensors), fill=Rows(sources=tuple(tensors)))


def transposed(name: str, tensors: Sequence[TensorRecord], dtype: str) -> StoredTensor:
    """Matrices [out, in] one below the other, transposed: [in, out]."""
    shape = _stacked_shape(tensors)[::-1]
    return StoredTensor(name=name, dtype=dtype, shape=shape, fill=Transposed(sources=tuple(tensors)))


def matrix(name: str, tensors: Sequence[TensorRecord], precision: Precision) -> Iterator[StoredTensor]:
    """Matrices [out, in] one below the other, as the runtime multiplies by them fastest.

    Transposed: one token is multiplied by [in, out] almost twice as fast as by [out, in]. For the CPU large ones stand
    in column tiles [out / TILE_COLUMNS, in, TILE_COLUMNS], where they can. Where the precision says so they are
    quantised instead: packed [out, groups, bytes of a group], scales [out, groups]. Raises PlanError for a width that
    cannot be quantised.
    """
    rows, columns = _stacked_shape(tensors)
    bits = precision.matrix_bits
    if bits is not None:
        how = Quantisation(bits=bits, group_size=group_size(columns, bits, tensor=tensors[0].name))
        groups = columns // how.group_size
        packed, scales = (rows, groups, how.group_size * how.bits // 8), (rows, groups)
        yield from quantised(name, Rows(sources=tuple(tensors)), how, packed=packed, scales=scales)
    elif precision.tiled and rows % TILE_COLUMNS == 0 and rows * columns >= TILED_VALUES:
        shape, tiles = (rows // TILE_COLUMNS, columns, TILE_COLUMNS), ColumnTiles(sources=tuple(tensors))
        yield StoredTensor(name=name, dtype=precision.dtype, shape=shape, fill=tiles)
    else:
        yield transposed(name, tensors, precision.dtype)


def _stacked_shape(tensors: Sequence[TensorRecord]) -> tuple[int, ...]:
    return (sum(tensor.shape[0] for tensor in tensors), *tensors[0].shape[1:])


def quantised(
    name: str, rows: Rows | InterleavedRows, how: Quantisation, *, packed: tuple[int, ...], scales: tuple[int, ...]
) -> Iterator[StoredTensor]:
    """The two tensors of quantised rows, of these shapes."""
    codes, factors = QuantisedPart(rows=rows, how=how, part="packed"), QuantisedPart(rows=rows, how=how, part="scales")
    yield StoredTensor(name=f"{name}.packed", dtype="uint8", shape=packed, fill=codes)
    yield StoredTensor(name=f"{name}.scales", dtype="float32", shape=scales, fill=factors)
