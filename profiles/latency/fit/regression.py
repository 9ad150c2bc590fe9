"""The fit of one stage: non-negative least squares on relative errors, robust against outliers."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from profiles.latency.fit.observations import Observation

Array = npt.NDArray[np.float64]
ROUNDS = 8
HUBER = 1.345  # efficiency of 95 % on normal errors (Huber 1964)
_LEAST_SPREAD = 1e-4


def fit_terms(observations: Sequence[Observation]) -> dict[str, float]:
    """Milliseconds for each unit of every term, all at least 0.

    Minimises the sum of (predicted / measured − 1)², each weighted down where it is further out than `HUBER` robust
    standard deviations (iteratively reweighted least squares; Holland and Welsch 1977). Raises ValueError without
    observations.
    """
    if not observations:
        raise ValueError("nothing to fit")
    names, matrix = design(observations)
    relative = matrix / np.array([one.ms for one in observations])[:, None]
    scale = np.maximum(np.abs(relative).max(axis=0), 1e-300)
    weights = np.ones(len(relative))
    for _ in range(ROUNDS):
        rows = np.sqrt(weights)[:, None]
        found, _ = nnls(rows * relative / scale, rows[:, 0], maxiter=100 * len(names))
        residuals = relative / scale @ found - 1.0
        spread = max(1.4826 * float(np.median(np.abs(residuals))), _LEAST_SPREAD)
        weights = np.minimum(1.0, HUBER * spread / np.maximum(np.abs(residuals), 1e-12))
    return {name: float(value) for name, value in zip(names, found / scale, strict=True)}


def design(observations: Sequence[Observation]) -> tuple[tuple[str, ...], Array]:
    """The names of the terms and their values [observations, terms]."""
    rows = [one.terms for one in observations]
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    return names, np.array([[row.get(name, 0.0) for name in names] for row in rows])


def predict(coefficients: Mapping[str, float], observations: Sequence[Observation]) -> Array:
    """Predicted milliseconds of each observation."""
    return np.array([sum(coefficients.get(n, 0.0) * value for n, value in one.terms.items()) for one in observations])
