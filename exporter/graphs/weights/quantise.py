"""Block-wise quantisation of matrix rows as ONNX Runtime's MatMulNBits and QMoE read it. Pure numpy."""

import numpy as np
import numpy.typing as npt

from exporter.graphs.weights.stored_tensor import Quantisation


def quantise(rows: npt.NDArray[np.generic], how: Quantisation) -> npt.NDArray[np.generic]:
    """The half `how.part` of the quantised `rows` [..., width]: packed bytes [..., width · bits / 8], or float32 scales
    [..., width / block].

    A value is stored as round(value / scale) + 2^(bits − 1). The scale's sign is that of the block's largest value,
    which so becomes the one integer that has no opposite: −2^(bits − 1).
    """
    blocks = rows.astype(np.float32).reshape(*rows.shape[:-1], -1, how.block)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(-1, keepdims=True), -1)
    middle = 1 << (how.bits - 1)
    scales = largest / np.float32(-middle)
    if how.part == "scales":
        flat: npt.NDArray[np.float32] = scales[..., 0]
        return flat
    inverse = np.divide(np.float32(1), scales, out=np.zeros_like(scales), where=scales != 0)
    codes = np.clip(np.rint(blocks * inverse) + middle, 0, 2 * middle - 1).astype(np.uint8).reshape(rows.shape)
    packed: npt.NDArray[np.uint8] = codes if how.bits == 8 else codes[..., 0::2] | (codes[..., 1::2] << 4)
    return packed


def dequantise(
    packed: npt.NDArray[np.uint8], scales: npt.NDArray[np.float32], how: Quantisation
) -> npt.NDArray[np.float32]:
    """The values [..., width] that packed bytes and scales stand for."""
    codes = packed if how.bits == 8 else np.stack([packed & 15, packed >> 4], -1).reshape(*packed.shape[:-1], -1)
    centred = codes.astype(np.float32) - np.float32(1 << (how.bits - 1))
    return (centred.reshape(*scales.shape, how.block) * scales[..., None]).reshape(codes.shape)
