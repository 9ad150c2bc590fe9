"""Arrays as values of ONNX Runtime and back, bfloat16 included, which numpy lacks."""

import ctypes
from typing import Any

import numpy as np
import onnxruntime

from runtime.engines.bfloat16 import from_bits, to_bits
from runtime.engines.protocol import Array

BFLOAT16 = 16  # onnx.TensorProto.BFLOAT16, https://github.com/onnx/onnx/blob/v1.18.0/onnx/onnx.proto
BFLOAT16_NAME = "tensor(bfloat16)"
DTYPES: dict[str, np.dtype[Any]] = {  # what numpy holds the runtime's types in
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    BFLOAT16_NAME: np.dtype(np.float32),
    "tensor(int64)": np.dtype(np.int64),
}


def value_of_bits(bits: Array) -> onnxruntime.OrtValue:
    """A bfloat16 value on the CPU, in the memory of its bits."""
    return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(bits, BFLOAT16)


def value_of(array: Array, kind: str) -> onnxruntime.OrtValue:
    """The array as a value on the CPU of the runtime's type `kind`, one of DTYPES."""
    if kind == BFLOAT16_NAME:
        return value_of_bits(to_bits(array))
    return onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array.astype(DTYPES[kind], copy=False)))


def read(value: Any) -> Array:
    """A copy of a value on the CPU, in float32 where it is bfloat16."""
    if value.data_type() != BFLOAT16_NAME:
        array: Array = value.numpy()
        return array
    shape = tuple(value.shape())
    memory = (ctypes.c_uint16 * int(np.prod(shape))).from_address(value.data_ptr())
    return from_bits(np.ctypeslib.as_array(memory).reshape(shape).copy())
