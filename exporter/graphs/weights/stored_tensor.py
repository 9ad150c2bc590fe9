"""What stands in the external data file of a family's graphs: each tensor, its place, and the source rows it is made
of. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

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
class Quantisation:
    """Symmetric block-wise quantisation along the last dimension: `bits` (4 or 8) a value, one scale for each `block`
    values.

    `part` is which half of the result a tensor holds: "packed" (uint8, low half-byte first, zero point 2^(bits − 1)) or
    "scales".
    """

    bits: int
    block: int
    part: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredTensor:
    """A tensor of the data file: `dtype` a key of TYPES, `offset` in bytes.

    It is filled by `rows`, each a tensor as it is or the rows of two of one shape in turn (gate, up, gate, up, …), or
    by `values`. Where `transposed`, rows are its columns: those of a matrix, or, of three dimensions [panels, in,
    columns], those of one panel after the other. Where `slices` is not 1, the columns of all rows stand in so many
    parts, each contiguous: all first parts, then all second ones. Or it is another view of the beginning of the tensor
    called `view_of`, with no bytes of its own.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int = 0
    rows: tuple[tuple[TensorRecord, ...], ...] = ()
    values: npt.NDArray[np.generic] | None = None
    transposed: bool = False
    slices: int = 1
    view_of: str | None = None
    quantisation: Quantisation | None = None

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        count = 1
        for size in self.shape:
            count *= size
        return count * TYPES[self.dtype].itemsize


def lay_out(tensors: Iterable[StoredTensor]) -> tuple[StoredTensor, ...]:
    """The same tensors with offsets: back to back, each beginning at a multiple of ALIGNMENT, so that it can be
    mapped."""
    placed: dict[str, StoredTensor] = {}
    offset = 0
    for tensor in tensors:
        if tensor.view_of is not None:
            placed[tensor.name] = replace(tensor, offset=placed[tensor.view_of].offset)
            continue
        placed[tensor.name] = replace(tensor, offset=offset)
        offset += tensor.bytes + -tensor.bytes % ALIGNMENT
    return tuple(placed.values())


def data_bytes(tensors: Iterable[StoredTensor]) -> int:
    """The size of the data file in bytes."""
    return max((tensor.offset + tensor.bytes + -tensor.bytes % ALIGNMENT for tensor in tensors), default=0)
