"""Numbers of type bfloat16 between numpy, which has no such type, and the runtime: numpy holds their bits as uint16."""

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

BFLOAT16 = 16  # ONNX's number of the type
NAME = "tensor(bfloat16)"
Array = npt.NDArray[Any]


def to_bits(values: Array) -> Array:
    """The bits, uint16, of the nearest bfloat16 numbers; ties go to the even one."""
    wide = np.ascontiguousarray(values, np.float32).view(np.uint32)
    bits = ((wide + (((wide >> 16) & 1) + 0x7FFF)) >> 16).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FC0), bits)


def from_bits(bits: Array) -> Array:
    """The numbers, float32, that the bits stand for."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def value_of(bits: Array) -> onnxruntime.OrtValue:
    """A value of the runtime on the CPU, in the memory of the bits."""
    return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(bits, BFLOAT16)


def read(value: Any) -> Array:
    """A copy of a value of the runtime on the CPU, in float32 where it is bfloat16."""
    if value.data_type() != NAME:
        array: Array = value.numpy()
        return array
    shape = tuple(value.shape())
    memory = (ctypes.c_uint16 * int(np.prod(shape))).from_address(value.data_ptr())
    return from_bits(np.ctypeslib.as_array(memory).reshape(shape).copy())
