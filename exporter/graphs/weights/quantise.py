"""Quantisation of matrix rows in groups, as MatMulNBits and QMoE of ONNX Runtime read it (docs/ContribOperators.md,
com.microsoft, at onnxruntime 1.28). Pure numpy.

A value is stored as round(value / scale) + 2^(bits − 1). The scale's sign is that of the group's largest value, which
so becomes the one integer that has no opposite: −2^(bits − 1).
"""

import numpy as np
import numpy.typing as npt

from exporter.graphs.weights.stored_tensor import Quantisation


def group_scales(rows: npt.NDArray[np.generic], how: Quantisation) -> npt.NDArray[np.float32]:
    """The scales [..., width / group_size] of `rows` [..., width]."""
    return _scales(_groups(rows, how), how)[..., 0]


def packed_codes(rows: npt.NDArray[np.generic], how: Quantisation) -> npt.NDArray[np.uint8]:
    """The codes of `rows` [..., width], packed into bytes [..., width · bits / 8]."""
    groups, middle = _groups(rows, how), 1 << (how.bits - 1)
    scales = _scales(groups, how)
    inverse = np.divide(np.float32(1), scales, out=np.zeros_like(scales), where=scales != 0)
    codes = np.clip(np.rint(groups * inverse) + middle, 0, 2 * middle - 1).astype(np.uint8).reshape(rows.shape)
    packed: npt.NDArray[np.uint8] = codes if how.bits == 8 else codes[..., 0::2] | (codes[..., 1::2] << 4)
    return packed


def dequantise(
    packed: npt.NDArray[np.uint8], scales: npt.NDArray[np.float32], how: Quantisation
) -> npt.NDArray[np.float32]:
    """The values [..., width] that packed bytes and scales stand for."""
    codes = packed if how.bits == 8 else np.stack([packed & 15, packed >> 4], -1).reshape(*packed.shape[:-1], -1)
    centred = codes.astype(np.float32) - np.float32(1 << (how.bits - 1))
    return (centred.reshape(*scales.shape, how.group_size) * scales[..., None]).reshape(codes.shape)


def _groups(rows: npt.NDArray[np.generic], how: Quantisation) -> npt.NDArray[np.float32]:
    """[..., groups, group_size]."""
    return rows.astype(np.float32).reshape(*rows.shape[:-1], -1, how.group_size)


def _scales(groups: npt.NDArray[np.float32], how: Quantisation) -> npt.NDArray[np.float32]:
    """[..., groups, 1]."""
    largest = np.take_along_axis(groups, np.abs(groups).argmax(-1, keepdims=True), -1)
    scales: npt.NDArray[np.float32] = largest / np.float32(-(1 << (how.bits - 1)))
    return scales
