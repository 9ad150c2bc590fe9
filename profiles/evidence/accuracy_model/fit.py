"""Fits one task of an accuracy model: the variances of runtime/accuracy/effects.py by the greatest marginal likelihood,
and the width of intervals by how far off settings are that are left out one at a time.

Both follow Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), 5.4; the width is the quantile that
conformal prediction takes (Lei and others, 2018), over the errors left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from runtime.accuracy.effects import TERMS, Floats, Taken, covariances
from runtime.accuracy.predictor import log_odds, measured_losses
from runtime.documents.accuracy.accuracy_model import HeldOut, Score, Setting, TaskModel, Variances
from runtime.errors import DocumentError

LEFT_OUT = "left out"
"""How HeldOut says that each setting was predicted from all others."""

LEAST_SETTINGS = 8
POWERS = (0.5, 1.0, 2.0)
_BOUNDS = [(-14.0, 2.0)] * (len(TERMS) + 1) + [(math.log(0.05), 0.0)]  # logarithms: shares of the losses' variance
_USUAL, _SPREAD = -5.0, 7.0  # what they are believed to be before anything is known: a wide log-normal
_STARTS = (-4.0, -2.5)
_JITTER = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredTask:
    """What was measured of a task: `scores` are of the settings of their numbers, the whole model's first."""

    task: str
    metric: str
    samples: int
    scores: tuple[Score, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fitted:
    power: float
    variances: Variances
    covariance: Floats
    cost: float


def fit_task(
    measured: MeasuredTask, settings: Sequence[Setting], *, blocks: int, top_k: int, level: float
) -> TaskModel:
    """The model of one task; `settings` are the document's, of a source of `blocks` with `top_k` experts per token.
    Raises DocumentError for fewer scores than can be fitted."""
    if len(measured.scores) < LEAST_SETTINGS:
        raise DocumentError(
            f"{measured.task}: {len(measured.scores)} settings were measured; a model needs {LEAST_SETTINGS} or more"
        )
    own = [settings[score.setting] for score in measured.scores]
    losses = measured_losses(measured.scores, measured.samples)
    tried = []
    for power in POWERS:
        taken = Taken.of(own, blocks=blocks, top_k=top_k, power=power)
        tried.append(_fit(covariances(taken, taken), losses.lost, losses.noise, power))
    best = min(tried, key=lambda one: one.cost)
    width, held_out = _left_out(best.covariance, losses.lost, measured, level)
    return TaskModel(
        task=measured.task,
        metric=measured.metric,
        samples=measured.samples,
        scores=measured.scores,
        power=best.power,
        variances=best.variances,
        width=width,
        held_out=(held_out,),
    )


def _fit(terms: Floats, lost: Floats, noise: Floats, power: float) -> _Fitted:
    """The variances under which the losses are likeliest, the wide prior included."""
    scale = float(np.mean(lost**2)) + _JITTER
    parts = np.stack([*(scale * terms), scale * np.eye(len(lost)), np.diag(noise)])

    def covariance(logs: Floats) -> Floats:
        found: Floats = np.tensordot(np.exp(logs), parts, 1)
        return found + np.diag(np.full(len(lost), _JITTER))

    def cost(logs: Floats) -> tuple[float, Floats]:
        """Minus the logarithm of how likely they are, and its slope: equations 5.8 and 5.9 of the book."""
        whole = covariance(logs)
        inverse, (_, size) = np.linalg.inv(whole), np.linalg.slogdet(whole)
        weights = inverse @ lost
        steps = np.append((logs[:-1] - _USUAL) / _SPREAD, 0.0)
        slope = np.tensordot(parts, inverse - np.outer(weights, weights), 2) / 2
        return float((lost @ weights + size + steps @ steps) / 2), np.exp(logs) * slope + steps / _SPREAD

    starts = (np.array([start] * (len(TERMS) + 1) + [-1.0]) for start in _STARTS)
    searches = (minimize(cost, one, jac=True, method="L-BFGS-B", bounds=_BOUNDS) for one in starts)
    found = min(searches, key=lambda one: float(one.fun))
    shares = np.exp(found.x)
    variances = dict(zip(TERMS, (scale * shares[: len(TERMS)]).tolist(), strict=True))
    return _Fitted(
        power=power,
        variances=Variances(**variances, residual=float(scale * shares[-2]), sampling=float(shares[-1])),
        covariance=covariance(found.x),
        cost=float(found.fun),
    )


def _left_out(covariance: Floats, lost: Floats, measured: MeasuredTask, level: float) -> tuple[float, HeldOut]:
    """The width that covers a share `level` of the settings but the whole model, each predicted from the others, and
    how far off they are."""
    inverse = np.linalg.inv(covariance)
    errors = (inverse @ lost / np.diag(inverse))[1:]
    deviations = np.abs(errors) * np.sqrt(np.diag(inverse))[1:]
    place = min(math.ceil((len(errors) + 1) * level), len(errors))
    width = float(np.sort(deviations)[place - 1])
    shares = np.array([score.score for score in measured.scores])
    odds = log_odds(shares, measured.samples)
    predicted = 1 / (1 + np.exp(-(odds[1:] + errors)))
    held_out = HeldOut(
        by=LEFT_OUT,
        settings=len(errors),
        mean_error=float(np.abs(predicted - 1 / (1 + np.exp(-odds[1:]))).mean()),
        coverage=float((deviations <= width).mean()),
    )
    return width, held_out
