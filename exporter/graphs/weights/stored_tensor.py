"""What stands in the external data file of a family's graphs: each tensor, its place, and how it is filled from the
source. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import ml_dtypes
import numpy as np
import numpy.typing as npt

from exporter.checkpoint.safetensors_header import TensorRecord

ALIGNMENT = 4096
TYPES: dict[str, np.dtype[np.generic]] = {
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "uint8": np.dtype(np.uint8),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Values:
    """Numbers that no tensor of the source has: rotary tables, limits."""

    array: npt.NDArray[np.generic]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Tensors of the source as they are, one below the other."""

    sources: tuple[TensorRecord, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class InterleavedRows:
    """The rows of two tensors of one shape in turn (gate, up, gate, up, …), one pair below the other."""

    pairs: tuple[tuple[TensorRecord, TensorRecord], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Transposed:
    """Matrices [out, in] one below the other, transposed: [in, out]."""

    sources: tuple[TensorRecord, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnTiles:
    """Matrices [out, in] one below the other, transposed and cut into tiles of columns: [tiles, in, columns]. Each tile
    is contiguous, so that a kernel reads it from its first byte to its last."""

    sources: tuple[TensorRecord, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpertTiles:
    """Matrices of experts [out, in] with their columns cut into `tiles`, each contiguous: the first tile of every
    expert, then the second of every expert, …: [tiles · experts, out, in / tiles]."""

    sources: tuple[TensorRecord, ...]
    tiles: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantisation:
    """Symmetric quantisation in groups along the last dimension: `bits` (4 or 8) a value, one scale for each
    `group_size` values."""

    bits: int
    group_size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class QuantisedPart:
    """One half of the quantised `rows`: packed codes (uint8, low half-byte first, zero point 2^(bits − 1)), or
    scales."""

    rows: Rows | InterleavedRows
    how: Quantisation
    part: Literal["packed", "scales"]


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """The beginning of the tensor called `of`, with no bytes of its own."""

    of: str


Fill = Values | Rows | InterleavedRows | Transposed | ColumnTiles | ExpertTiles | QuantisedPart | View


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredTensor:
    """A tensor of the data file: `dtype` a key of TYPES, `fill` what it is made of, `offset` in bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    fill: Fill
    offset: int = 0

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        count = 1
        for size in self.shape:
            count *= size
        return count * TYPES[self.dtype].itemsize


def with_offsets(tensors: Iterable[StoredTensor]) -> tuple[StoredTensor, ...]:
    """The same tensors with offsets: back to back, each beginning at a multiple of ALIGNMENT, so that it can be
    mapped."""
    placed: dict[str, StoredTensor] = {}
    offset = 0
    for tensor in tensors:
        if isinstance(tensor.fill, View):
            placed[tensor.name] = replace(tensor, offset=placed[tensor.fill.of].offset)
            continue
        placed[tensor.name] = replace(tensor, offset=offset)
        offset += tensor.bytes + -tensor.bytes % ALIGNMENT
    return tuple(placed.values())


def data_bytes(tensors: Iterable[StoredTensor]) -> int:
    """The size of the data file in bytes."""
    return max((tensor.offset + tensor.bytes + -tensor.bytes % ALIGNMENT for tensor in tensors), default=0)
