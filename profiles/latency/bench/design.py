"""Which cells teach an estimator most: chosen one after the other for the information that each adds. Pure."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from runtime.engines.stages import DECODE, PREFILL
from runtime.latency.terms import terms_of
from runtime.latency.workload import Layers, Workload

_PRIOR = 1e-3
Array = npt.NDArray[np.float64]


def rank(loads: Sequence[tuple[Layers, Workload]]) -> tuple[int, ...]:
    """The indices of `loads`, the most telling first.

    Greedy D-optimal design (Fedorov 1972; Atkinson and Donev 1992): each next one adds most to the determinant of the
    information matrix of the terms of prefill and decoding, as shares of the time that each stage is expected to take.
    """
    if not loads:
        return ()
    rows = np.concatenate([_rows(PREFILL, loads), _rows(DECODE, loads)], axis=1)
    inverse = np.eye(rows.shape[1]) / _PRIOR
    left, found = list(range(len(loads))), []
    while left:
        gains = np.einsum("ij,jk,ik->i", rows[left], inverse, rows[left])
        best = left.pop(int(np.argmax(gains)))
        found.append(best)
        row = inverse @ rows[best]
        inverse = inverse - np.outer(row, row) / (1.0 + float(rows[best] @ row))  # Sherman and Morrison 1950
    return tuple(found)


def _rows(stage: str, loads: Sequence[tuple[Layers, Workload]]) -> Array:
    """The terms of each load in columns of like size; a row has length 1, as errors count in shares of a time."""
    found = [terms_of(stage, load, float(load.prompt_tokens), layers) for layers, load in loads]
    names = tuple(dict.fromkeys(name for one in found for name in one))
    matrix = np.array([[one.get(name, 0.0) for name in names] for one in found])
    matrix = matrix / np.maximum(np.abs(matrix).max(axis=0), 1e-300)
    scaled: Array = matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-300)
    return scaled
