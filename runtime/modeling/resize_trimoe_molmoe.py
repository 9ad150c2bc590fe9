"""Resizes pixels with numpy alone, to the numbers that torch's antialiased bilinear interpolation gives, which the
public code uses."""

from typing import Any

import numpy as np

NOTHING, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)


def resize(pixels: np.ndarray[Any, Any], size: tuple[int, int]) -> np.ndarray[Any, Any]:
    """Resize float32 [h, w, channels] to `size` (height, width).

    As `interpolate(mode="bilinear", align_corners=False, antialias=True)`: triangles as wide as the reduction, weights
    in float32; which side comes first decides the last bit only, and rows lie together in memory.
    """
    down = _resize_rows(pixels, size[0])
    across = _resize_rows(np.ascontiguousarray(down.swapaxes(0, 1)), size[1])
    return np.ascontiguousarray(across.swapaxes(0, 1))


def _resize_rows(pixels: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """Float32 [rows, n, channels] as `count` rows."""
    if count == len(pixels):
        return pixels
    starts, weights = _weights(len(pixels), count)
    resized = np.zeros((count, *pixels.shape[1:]), np.float32)
    for row, start, column in zip(resized, starts, weights, strict=True):
        part = pixels[start : start + len(column)]  # at the end fewer rows, where the weight is 0
        np.einsum("i,iwc->wc", column[: len(part)], part, out=row)
    return resized


def _weights(length: int, count: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """For each of `count` places the first of the `length` pixels that count there, [count], and their weights, float32
    [count, most]; torch's `_compute_indices_weights_aa` in its own order of operations."""
    scale = np.float32(length) / np.float32(count)
    support = max(scale, ONE)
    centers = scale * (np.arange(count, dtype=np.float32) + HALF)
    starts = np.maximum((centers - support + HALF).astype(np.int64), 0)
    ends = np.minimum((centers + support + HALF).astype(np.int64), length)
    offsets = np.arange((ends - starts).max(), dtype=np.float32)
    distances = offsets + (starts.astype(np.float32) - centers)[:, None] + HALF
    weights = np.maximum(ONE - np.abs(distances * (ONE / support)), NOTHING)
    weights[offsets >= (ends - starts)[:, None]] = 0
    total = weights.sum(axis=1, keepdims=True)
    return starts, weights / total
