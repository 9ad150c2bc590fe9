"""Fitting one task."""

import dataclasses

import numpy as np
import pytest
from msgspec.structs import replace

from profiles.evidence.accuracy_model.fit import MeasuredTask, fit_task
from runtime.accuracy.predictor import TaskPredictor
from runtime.errors import DocumentError
from tests.support.accuracy_models import BLOCKS, LEVEL, TOP_K, measured_task, settings


def covered(seed: int) -> tuple[float, float]:
    """The share of settings not fitted on within their interval, and the mean error."""
    every = settings(140, seed)
    scores = measured_task(every, seed).scores
    known, others = every[:50], every[50:]
    task = fit_task(
        MeasuredTask(task="read", metric="m", samples=2000, scores=scores[:50]),
        known,
        blocks=BLOCKS,
        top_k=TOP_K,
        level=LEVEL,
    )
    found = TaskPredictor(task, known, blocks=BLOCKS, top_k=TOP_K).predict(others)
    inside = [one.low <= score.score <= one.high for one, score in zip(found, scores[50:], strict=True)]
    errors = [abs(one.score - score.score) for one, score in zip(found, scores[50:], strict=True)]
    return float(np.mean(inside)), float(np.mean(errors))


def test_intervals_at_nine_in_ten_hold_about_nine_in_ten() -> None:
    inside, errors = zip(*(covered(seed) for seed in range(4)), strict=True)
    assert 0.86 <= np.mean(inside) <= 0.95
    assert max(errors) < 0.02


def test_what_was_left_out_is_said_with_the_fit() -> None:
    chosen = settings(30, 1)
    (held_out,) = fit_task(measured_task(chosen, 1), chosen, blocks=BLOCKS, top_k=TOP_K, level=LEVEL).held_out
    assert (held_out.by, held_out.settings) == ("left out", 29)
    assert held_out.mean_error < 0.05 and held_out.coverage == pytest.approx(LEVEL, abs=0.04)


def test_a_task_with_too_few_settings_is_refused() -> None:
    chosen = settings(7, 1)
    with pytest.raises(DocumentError, match="read: 7 settings were measured; a model needs 8 or more"):
        fit_task(measured_task(chosen, 1), chosen, blocks=BLOCKS, top_k=TOP_K, level=LEVEL)


def test_scores_that_are_all_alike_give_a_model_too() -> None:
    chosen, task = settings(20, 1), measured_task(settings(20, 1), 1)
    alike = dataclasses.replace(task, scores=tuple(replace(one, score=1.0, error=0.0) for one in task.scores))
    model = fit_task(alike, chosen, blocks=BLOCKS, top_k=TOP_K, level=LEVEL)
    (found,) = TaskPredictor(model, chosen, blocks=BLOCKS, top_k=TOP_K).predict(chosen[9:10])
    assert found.score > 0.99 and found.low > 0.9
