"""Predicts scores of settings that nobody measured from an accuracy model: a Gaussian process over effects that add up
on log-odds (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, algorithm 2.1)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runtime.accuracy.effects import TERMS, Floats, Taken, covariances, own_variances
from runtime.documents.accuracy.accuracy_model import AccuracyModel, Score, Setting, TaskModel
from runtime.errors import RequestError


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """The score that a setting is expected to have on the samples which the model's settings were measured on, a share
    (0–1), and its interval at the model's level."""

    score: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Losses:
    """Log-odds lost against the whole model by settings that were measured, and the variances of their sampling."""

    lost: Floats
    noise: Floats


def measured_losses(measured: Sequence[Score], samples: int) -> Losses:
    """Of scores over so many samples, the whole model's first."""
    scores, errors = (np.array([getattr(one, key) for one in measured]) for key in ("score", "error"))
    odds, slope = log_odds(scores, samples), _slope(scores, samples)
    least = 0.5 / (samples + 1)  # where all samples score the same, their error is not nought
    return Losses(lost=odds[0] - odds, noise=(np.maximum(errors, least) * slope) ** 2)


def log_odds(shares: Floats, samples: int) -> Floats:
    """Of shares of so many samples, half a sample away from nought and all."""
    held = _held(shares, samples)
    found: Floats = np.log(held / (1 - held))
    return found


def _held(shares: Floats, samples: int) -> Floats:
    held: Floats = (shares * samples + 0.5) / (samples + 1)
    return held


def _slope(shares: Floats, samples: int) -> Floats:
    """By how much the log-odds change with the share."""
    held = _held(shares, samples)
    found: Floats = 1 / (held * (1 - held))
    return found


def scales_of(task: TaskModel) -> Floats:
    """The variances of the terms, in the order of `covariances`."""
    return np.array([getattr(task.variances, term) for term in TERMS])


class TaskPredictor:
    """The predictions of one task."""

    def __init__(self, task: TaskModel, settings: Sequence[Setting], *, blocks: int, top_k: int) -> None:
        """`settings` are those of the task's scores, of a source of `blocks` with `top_k` experts per token."""
        self._task, self._blocks, self._top_k = task, blocks, top_k
        variances = task.variances
        self._scales = scales_of(task)
        self._taken = self._taken_by(settings)
        losses = measured_losses(task.scores, task.samples)
        self._whole = float(log_odds(np.array([task.scores[0].score]), task.samples)[0])
        noise = variances.residual + variances.sampling * losses.noise
        covariance = np.tensordot(self._scales, covariances(self._taken, self._taken), 1) + np.diag(noise + 1e-9)
        self._factor = np.linalg.cholesky(covariance)
        self._weights = np.linalg.solve(covariance, losses.lost)

    def predict(self, settings: Sequence[Setting]) -> tuple[Estimate, ...]:
        """One estimate a setting."""
        taken, task = self._taken_by(settings), self._task
        crossed = np.tensordot(self._scales, covariances(taken, self._taken), 1)
        lost = crossed @ self._weights
        explained = (np.linalg.solve(self._factor, crossed.T) ** 2).sum(0)
        own = self._scales @ own_variances(taken)
        scores = self._shares(lost)
        noise = task.variances.sampling * scores * (1 - scores) / task.samples * _slope(scores, task.samples) ** 2
        reach = task.width * np.sqrt(np.maximum(own - explained, 0) + task.variances.residual + noise)
        low, high = self._shares(lost + reach), self._shares(lost - reach)
        return tuple(
            Estimate(score=one[0], low=one[1], high=one[2]) for one in np.stack([scores, low, high], axis=1).tolist()
        )

    def _shares(self, lost: Floats) -> Floats:
        shares: Floats = 1 / (1 + np.exp(lost - self._whole))
        return shares

    def _taken_by(self, settings: Sequence[Setting]) -> Taken:
        return Taken.of(settings, blocks=self._blocks, top_k=self._top_k, power=self._task.power)


class Predictor:
    """The predictions of an accuracy model."""

    def __init__(self, model: AccuracyModel) -> None:
        """Each task is solved once, here."""
        self.model = model
        self._tasks = {
            task.task: TaskPredictor(
                task,
                [model.settings[score.setting] for score in task.scores],
                blocks=model.blocks,
                top_k=model.top_k,
            )
            for task in model.tasks
        }

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that are predicted."""
        return tuple(self._tasks)

    def predict(self, settings: Sequence[Setting], task: str) -> tuple[Estimate, ...]:
        """One estimate a setting. Raises RequestError for a task that the model has not, naming those it has."""
        if task not in self._tasks:
            raise RequestError(f"no task {task!r} in the accuracy model; it has {', '.join(self._tasks)}")
        return self._tasks[task].predict(settings)

    def within(self, setting: Setting) -> bool:
        """Whether the model was fitted on settings that take as much."""
        domain = self.model.domain
        removed = self.model.blocks - len(setting.layers)
        return removed <= domain.most_removed and min(setting.top_k) >= domain.least_top_k
