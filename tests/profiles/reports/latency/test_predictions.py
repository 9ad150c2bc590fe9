"""Measured beside predicted: residuals, whole answers, the load that pictures show."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from profiles.reports.latency.answers import add_stages, measured_answers, predicted_answers
from profiles.reports.latency.predictions import ANSWER, add_answers, mean_error, predict_points
from profiles.reports.latency.series import (
    ProfileFile,
    later_top_k,
    reference_load,
    show_load,
    split_series,
)
from runtime.documents.latency.estimator_document import StageModel, Term
from runtime.documents.latency.profile_document import LatencyProfile
from runtime.latency.estimator import Estimator
from runtime.latency.workload import Workload
from tests.support.latency_documents import ESTIMATOR, PROFILE, point
from tests.support.simulated_profiles import LOADS, SHAPES, simulated_profile

POINTS = (
    point("prefill"),
    replace(point("decode", 20.0), median_ms=3.0),
    replace(point("decode", 30.0), median_ms=3.5),
)


def file_of(profile: LatencyProfile) -> ProfileFile:
    return ProfileFile(path=Path("p.json"), sha256="0" * 64, profile=profile)


def constant(**ms: float) -> Estimator:
    """An estimator that predicts these milliseconds for each stage."""
    first = ESTIMATOR.stages[0]
    stages: list[StageModel] = [
        replace(first, stage=stage, terms=(Term(name="call.call", ms=value),)) for stage, value in ms.items()
    ]
    return Estimator(replace(ESTIMATOR, stages=tuple(stages)))


@pytest.mark.parametrize(
    ("times", "first", "token"),
    [
        ([("prefill", 4.0), ("decode", 1.0)], 4.0, 1.0),
        ([("image", 1.0), ("vision", 2.0), ("embeddings", 0.5), ("prefill", 4.0), ("decode", 1.0)], 7.5, 1.0),
        ([("prefill", 4.0), ("sampling", 0.25), ("decode", 1.0), ("decode", 2.0)], 4.25, 1.5),
    ],
)
def test_an_answer_is_its_stages_once_and_decoding_for_each_further_token(
    times: list[tuple[str, float]], first: float, token: float
) -> None:
    found = add_stages(times)
    assert found is not None
    assert (found.first_token_ms, found.token_ms) == (first, token)
    assert found.total_ms == first + 63 * token


@pytest.mark.parametrize("times", [[], [("prefill", 1.0)], [("vision", 1.0), ("decode", 1.0)]])
def test_without_prompt_or_decoding_there_is_no_answer(times: list[tuple[str, float]]) -> None:
    assert add_stages(times) is None


def test_residuals_are_shares_of_what_was_predicted() -> None:
    (series,) = split_series(file_of(replace(PROFILE, points=POINTS)))
    pairs = predict_points(series, constant(prefill=2.0, decode=3.25))
    assert [pair.residual for pair in pairs] == pytest.approx([0.25, 3 / 3.25 - 1, 3.5 / 3.25 - 1])
    assert mean_error(pairs[:1]) == pytest.approx(0.2)
    (answer,) = add_answers(pairs)
    assert (answer.stage, answer.position) == (ANSWER, None)
    assert (answer.measured_ms, answer.predicted_ms) == (2.5 + 63 * 3.25, 2.0 + 63 * 3.25)


def test_stages_that_are_not_predicted_are_left_out() -> None:
    (series,) = split_series(file_of(replace(PROFILE, points=POINTS)))
    assert {pair.stage for pair in predict_points(series, constant(prefill=2.0))} == {"prefill"}
    assert predict_points(series, constant(prefill=0.0)) == ()
    assert add_answers(predict_points(series, constant(prefill=2.0))) == ()


def test_answers_of_variants_that_were_not_measured_are_predicted() -> None:
    (series,) = split_series(file_of(replace(PROFILE, points=POINTS)))
    load = Workload(vision_tokens=0, text_tokens=16)
    assert measured_answers(series, load)["b2-k4"].token_ms == 3.25
    assert measured_answers(series, Workload(vision_tokens=0, text_tokens=17)) == {}
    assert predicted_answers(series, load, constant(prefill=2.0, decode=3.0))["b2-k4"].total_ms == 2.0 + 63 * 3.0


def test_variants_stand_in_order_of_their_size_whatever_order_the_profile_has() -> None:
    (series,) = split_series(file_of(simulated_profile()))
    assert list(series.layers) == ["b12-k4", "b14-k4", "b14-k8", "b16-k4", "b16-k8"]
    assert series.measured == tuple(series.layers)


def test_the_load_shown_has_the_most_variants_then_the_smallest_batch_and_an_image() -> None:
    whole = split_series(file_of(simulated_profile()))
    assert reference_load(whole) == Workload(batch=1, vision_tokens=144, text_tokens=16)
    profile = simulated_profile()
    hidden = [one for one in profile.points if one.batch != 1 or one.variant != "b12-k4"]
    assert reference_load(split_series(file_of(replace(profile, points=tuple(hidden))))) == Workload(
        batch=2, vision_tokens=144, text_tokens=16
    )
    assert reference_load(split_series(file_of(replace(PROFILE, points=POINTS[:1])))) is None
    assert show_load(LOADS[0]) == "batch 1, 16 text tokens"
    assert show_load(LOADS[2]) == "batch 1, 144 vision + 16 text tokens"
    assert len(SHAPES) == len(whole[0].layers)


@pytest.mark.parametrize(("top_k", "later"), [((8, 4, 4), 4), ((8, 4, 2), None), ((8,), 8), (None, None), ((8, 8), 8)])
def test_k_is_that_of_the_layers_after_the_first(top_k: tuple[int, ...] | None, later: int | None) -> None:
    assert later_top_k(top_k) == later
