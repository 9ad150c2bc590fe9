"""Rounding to bfloat16, which numpy lacks: it holds the bits of such numbers as uint16. Pure."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def to_bits(values: Array) -> npt.NDArray[np.uint16]:
    """The bits of the nearest bfloat16 numbers, of the values' shape; ties go to the even one."""
    wide = np.ascontiguousarray(values, np.float32).view(np.uint32)
    bits = ((wide + (((wide >> 16) & 1) + 0x7FFF)) >> 16).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FC0), bits)


def from_bits(bits: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """The numbers that the bits stand for, of their shape."""
    return (bits.astype(np.uint32) << 16).view(np.float32)
