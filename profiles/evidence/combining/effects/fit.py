"""Fits the variances of the model's components: the most likely ones, shrunk to what is usual.

Empirical Bayes: with its variances given, the model is linear with normal priors, so that effects, predictions and the
errors of leaving out have closed forms (Rasmussen and Williams 2006, 5.4). The variances maximise the marginal
likelihood times a wide log-normal prior, which also keeps them from 0 where little was measured.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack
from scipy.optimize import minimize

from profiles.evidence.combining.effects.components import NAMES, between_rows
from profiles.evidence.combining.effects.observations import Array, Observations

_USUAL = np.log([0.05, 0.05, 0.3, 0.1, 0.05, 0.03, 0.001, 0.05])
_WIDTH = 4.0  # of the prior, in logarithms
_LIMITS = (-16.0, 8.0)
_ITERATIONS = 80


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Effects:
    """A fitted model. All but `scale`, the root mean square of the drops, is in its units: `variances` by component,
    the `precision` of the drops [rows, rows], `weights` (the precision times the drops), `slopes` (each component times
    the weights, [components, rows]) and `uncertainty`, the covariance of the logarithms of the variances."""

    seen: Observations
    scale: float
    variances: Array
    precision: Array
    weights: Array
    slopes: Array
    uncertainty: Array


def fit_effects(seen: Observations) -> Effects:
    """The model of these drops, of which there has to be one at least."""
    scale = float(np.sqrt(np.mean(seen.drops**2))) or 1.0
    drops = seen.drops / scale
    wide, components = between_rows(seen)
    found = minimize(
        lambda logs: _loss(logs, wide, components, drops),
        _USUAL,
        jac=True,
        method="L-BFGS-B",
        bounds=[_LIMITS] * len(NAMES),
        options={"maxiter": _ITERATIONS, "ftol": 1e-7},
    )
    variances = np.exp(found.x)
    precision, _ = _inverse(_covariance(variances, wide, components))
    weights = precision @ drops
    slopes = np.stack([*(part @ weights for part in components), weights]) * variances[:, None]
    information = slopes @ precision @ slopes.T / 2  # the average of observed and expected (Gilmour and others 1995)
    return Effects(
        seen=seen,
        scale=scale,
        variances=variances,
        precision=precision,
        weights=weights,
        slopes=slopes,
        uncertainty=np.linalg.inv(information + np.eye(len(NAMES)) / _WIDTH**2),
    )


def _covariance(variances: Array, wide: Array, components: list[Array]) -> Array:
    total = wide.copy()
    for variance, part in zip(variances, components, strict=False):
        total += variance * part
    total.flat[:: len(total) + 1] += variances[-1]
    return total


def _inverse(covariance: Array) -> tuple[Array, float]:
    """The inverse of a covariance and the logarithm of its determinant."""
    factor, _ = lapack.dpotrf(covariance, lower=1, overwrite_a=1)
    determinant = 2 * float(np.log(np.diag(factor)).sum())
    half, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)  # the lower triangle; above it is 0
    inverse: Array = half + half.T
    inverse.flat[:: len(half) + 1] /= 2
    return inverse, determinant


def _loss(logs: Array, wide: Array, components: list[Array], drops: Array) -> tuple[float, Array]:
    """Minus the logarithm of likelihood times prior, and its gradient."""
    variances = np.exp(logs)
    precision, determinant = _inverse(_covariance(variances, wide, components))
    weights = precision @ drops
    away = (logs - _USUAL) / _WIDTH
    loss = (drops @ weights + determinant + away @ away) / 2
    traces = [np.vdot(precision, part) - weights @ part @ weights for part in components]
    noise = np.trace(precision) - weights @ weights
    return float(loss), np.array([*traces, noise]) * variances / 2 + away / _WIDTH
