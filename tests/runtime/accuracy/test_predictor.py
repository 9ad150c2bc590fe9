"""Predictions for settings that were not measured."""

import numpy as np
import pytest

from runtime.accuracy.predictor import Predictor
from runtime.errors import RequestError
from tests.support.accuracy_models import WHOLE, accuracy_model, removing, settings, true_score


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(accuracy_model(60))


def test_settings_never_measured_are_predicted_within_a_point_and_a_half(predictor: Predictor) -> None:
    others = [one for one in settings(200, 7) if one not in predictor.model.settings]
    errors = [
        abs(found.score - true_score(one)) for one, found in zip(others, predictor.predict(others, "read"), strict=True)
    ]
    spread = np.std([true_score(one) for one in others])
    assert np.mean(errors) < 0.015 < spread / 3


def test_intervals_hold_the_score_and_widen_with_what_is_taken(predictor: Predictor) -> None:
    near, far = predictor.predict([removing((1,)), removing((2, 4, 6), (8, 1, 1, 1, 1, 1, 1, 1))], "read")
    assert near.low <= near.score <= near.high
    assert far.high - far.low > near.high - near.low


def test_the_whole_model_is_predicted_as_it_was_measured(predictor: Predictor) -> None:
    (whole,) = predictor.predict([WHOLE], "read")
    assert whole.score == pytest.approx(predictor.model.tasks[0].scores[0].score, abs=0.002)


def test_an_unknown_task_is_refused_with_those_there_are(predictor: Predictor) -> None:
    with pytest.raises(RequestError, match="no task 'vqa' in the accuracy model; it has read"):
        predictor.predict([WHOLE], "vqa")


def test_what_takes_more_than_any_measured_setting_is_outside(predictor: Predictor) -> None:
    assert predictor.within(removing((1, 2, 3)))
    assert not predictor.within(removing((1, 2, 3, 4)))
