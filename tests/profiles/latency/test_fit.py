"""Fits to a machine that is known: predictions for what was left out, bounds that hold, recalibration."""

import dataclasses
import random
import statistics

import pytest
from msgspec.structs import replace

from profiles.errors import MeasurementError
from profiles.latency.fit.estimator import Subject, fit_estimator
from profiles.latency.fit.profile_points import profile_observations
from profiles.latency.fit.transfer import transfer
from runtime.documents.latency.estimator_document import LatencyEstimator
from runtime.engines.stages import DECODE, PREFILL, VISION
from runtime.latency.estimator import Estimator
from runtime.latency.workload import Layers, Workload
from tests.support.latency_documents import PROFILE
from tests.support.simulated_machine import LOADS, STEPS, Machine, layers_of, observe

SUBJECT = Subject(device="simulated", engine="onnx", dtype="float32", experts=64, sources=())
NEW_LOADS = [Workload(batch=batch, vision_tokens=432, text_tokens=text) for batch in (1, 3) for text in (30, 120)]
NEW_SHAPES = [(15, 6), (13, 3), (14, 8)]


@pytest.fixture(scope="module")
def fitted() -> LatencyEstimator:
    return fit_estimator(observe(Machine()), SUBJECT, level=0.9)


def test_variants_lengths_and_batches_between_those_measured_are_predicted(fitted: LatencyEstimator) -> None:
    estimator, machine = Estimator(fitted), Machine()
    for depth, k in NEW_SHAPES:
        layers = layers_of(depth, k)
        for load in NEW_LOADS:
            for stage, position in ((PREFILL, 0.0), (DECODE, load.prompt_tokens + 20.0)):
                true = machine.ms(stage, layers, load, position)
                assert estimator.stage_ms(stage, layers, load, position=position) == pytest.approx(true, rel=0.06)
            true = machine.ms("vision", layers, load, 0.0) + machine.ms(PREFILL, layers, load, 0.0)
            true += sum(machine.ms(DECODE, layers, load, load.prompt_tokens + step) for step in range(STEPS - 1))
            found = estimator.request(load, output_tokens=STEPS).predict(layers)
            assert found.total_ms == pytest.approx(true, rel=0.04)


def test_mixed_lists_of_experts_are_predicted_from_uniform_ones(fitted: LatencyEstimator) -> None:
    estimator, machine, rng = Estimator(fitted), Machine(), random.Random(4)
    for _ in range(10):
        layers = Layers.of((8, *(rng.choice((2, 3, 4, 6, 8)) for _ in range(rng.randint(11, 15)))), experts=64)
        for load in NEW_LOADS:
            true = machine.ms(PREFILL, layers, load, 0.0)
            assert estimator.stage_ms(PREFILL, layers, load) == pytest.approx(true, rel=0.06)
            true = machine.ms(DECODE, layers, load, 500.0)
            assert estimator.stage_ms(DECODE, layers, load, position=500.0) == pytest.approx(true, rel=0.06)


@pytest.mark.parametrize(
    "machine",
    [
        Machine(bandwidth=2.5e9, arithmetic=4e11, layer_ms=0.3, call_ms=1.5),  # waits for launches
        Machine(bandwidth=8e6, arithmetic=4e11, layer_ms=0.02, call_ms=0.5),  # waits for weights
        Machine(bandwidth=2.5e9, arithmetic=2e8, layer_ms=0.02, call_ms=0.1),  # waits for arithmetic
    ],
)
def test_machines_like_accelerators_are_predicted_for_variants_left_out(machine: Machine) -> None:
    document = fit_estimator(observe(machine, noise=0.01), SUBJECT, level=0.9)
    assert next(one.mape for one in document.held_out if one.by == "variant") < 0.04
    for model in document.stages:
        assert next(one.mape for one in model.held_out if one.by == "variant") < 0.06


def test_requests_without_an_image_count_as_whole_answers() -> None:
    loads = [Workload(vision_tokens=vision, text_tokens=text) for vision in (0, 144) for text in (16, 64, 256)]
    found = [one for one in observe(Machine(), loads=loads) if one.stage != VISION or one.load.vision_tokens]
    document = fit_estimator(found, SUBJECT, level=0.9)
    assert document.held_out[0].points == len({one.request for one in found})


def test_held_out_errors_and_the_bound_are_what_new_measurements_show(fitted: LatencyEstimator) -> None:
    estimator = Estimator(fitted)
    fresh = observe(Machine(), NEW_SHAPES, NEW_LOADS * 10, seed=5)
    for model in fitted.stages:
        ones = [one for one in fresh if one.stage == model.stage]
        predicted = [estimator.stage_ms(one.stage, one.layers, one.load, position=one.position) for one in ones]
        errors = [abs(guess / one.ms - 1) for guess, one in zip(predicted, ones, strict=True)]
        stated = next(one.mape for one in model.held_out if one.by == "variant")
        assert statistics.fmean(errors) < 2 * stated + 0.01
        held = sum(one.ms <= model.bound * guess for guess, one in zip(predicted, ones, strict=True)) / len(ones)
        assert held > 0.8


def test_coverage_of_bounds_is_near_the_level() -> None:
    machine = Machine(bandwidth=1e12)  # no roofline, so that only noise is left
    covered = []
    for seed in range(10):
        document = fit_estimator(observe(machine, seed=seed), SUBJECT, level=0.9)
        covered += [next(h.coverage for h in model.held_out if h.by == "variant") for model in document.stages]
    assert statistics.fmean(covered) == pytest.approx(0.9, abs=0.02)


def test_outliers_do_not_bend_the_fit() -> None:
    clean = observe(Machine())
    rng = random.Random(1)
    dirty = [dataclasses.replace(one, ms=one.ms * (4 if rng.random() < 0.05 else 1)) for one in clean]
    first, second = (Estimator(fit_estimator(ones, SUBJECT, level=0.9)) for ones in (clean, dirty))
    for load in NEW_LOADS:
        found = [one.request(load, output_tokens=STEPS).predict(layers_of(14, 6)).total_ms for one in (first, second)]
        assert found[1] == pytest.approx(found[0], rel=0.02)


def test_more_work_never_takes_less_time(fitted: LatencyEstimator) -> None:
    estimator = Estimator(fitted)
    load = NEW_LOADS[0]
    by_depth = [estimator.request(load, output_tokens=9).predict(layers_of(d, 4)).total_ms for d in range(12, 17)]
    by_k = [estimator.request(load, output_tokens=9).predict(layers_of(14, k)).total_ms for k in range(2, 9)]
    assert by_depth == sorted(by_depth)
    assert by_k == sorted(by_k)


def test_a_few_points_recalibrate_to_another_machine(fitted: LatencyEstimator) -> None:
    other = observe(Machine(bandwidth=22e6, arithmetic=0.7e8, call_ms=1.1, layer_ms=0.03), seed=3)
    requests = sorted({one.request for one in other})
    few = set(random.Random(2).sample(requests, 25))
    points = [one for one in other if one.request in few]
    found = transfer(fitted, points, dataclasses.replace(SUBJECT, device="another"), level=0.9)
    assert found.before > 0.2
    estimator, errors = Estimator(found.estimator), []
    for request in requests:
        ones = [one for one in other if one.request == request]
        steps = {one.stage: (STEPS - 1) / 3 if one.stage == DECODE else 1 for one in ones}
        true = sum(one.ms * steps[one.stage] for one in ones)
        guess = sum(
            estimator.stage_ms(one.stage, one.layers, one.load, position=one.position) * steps[one.stage]
            for one in ones
        )
        errors.append(abs(guess / true - 1))
    assert statistics.fmean(errors) < 0.08
    assert statistics.fmean(errors) == pytest.approx(found.after, abs=0.03)
    assert found.estimator.device == "another"


def test_too_little_to_fit_is_said() -> None:
    with pytest.raises(MeasurementError, match="nothing was measured"):
        fit_estimator([], SUBJECT, level=0.9)
    with pytest.raises(MeasurementError, match="stage vision: 2 measurements, at least 4 are needed"):
        fit_estimator(observe(Machine(), [(12, 2)], LOADS[:2]), SUBJECT, level=0.9)


def test_a_stage_that_nobody_knows_is_refused() -> None:
    profile = replace(PROFILE, points=(replace(PROFILE.points[0], stage="thinking"),))
    with pytest.raises(MeasurementError, match="the profile has a stage 'thinking'; this trimoe knows image, vision"):
        profile_observations(profile, engine="onnx", dtype="float32")


def test_without_noise_and_roofline_the_terms_are_found() -> None:
    machine = Machine(arithmetic=1e15)
    estimator = Estimator(fit_estimator(observe(machine, noise=0.0), SUBJECT, level=0.9))
    for depth, k in NEW_SHAPES:
        for load in NEW_LOADS:
            true = machine.ms(DECODE, layers_of(depth, k), load, 700.0)
            assert estimator.stage_ms(DECODE, layers_of(depth, k), load, position=700.0) == pytest.approx(
                true, rel=1e-3
            )
