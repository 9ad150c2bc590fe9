"""The profiles and estimators that ship: they can be read, belong together, and predict what they should."""

import hashlib
from pathlib import Path

import pytest

from runtime.documents.latency.estimator_document import read_estimator
from runtime.documents.latency.profile_document import read_profile
from runtime.latency.estimator import Estimator
from runtime.latency.workload import Layers, Workload
from tests.support.paths import ROOT

FOLDER = ROOT / "profiles" / "data" / "latency"
ESTIMATORS = sorted(FOLDER.glob("*.estimator.json"))
WHOLE_ANSWERS, STAGES = 0.04, 0.065
MICROSECONDS = ("sampling",)  # too short to be the same in two runs


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.profile.json")), ids=lambda path: path.name)
def test_a_profile_says_where_and_with_what_it_was_taken(path: Path) -> None:
    profile = read_profile(path)
    assert profile.device.kind == "cpu" and profile.taken.startswith("2026-")
    assert profile.points and profile.footprints and profile.software


@pytest.mark.parametrize("path", ESTIMATORS, ids=lambda path: path.name)
def test_an_estimator_was_fitted_to_a_profile_that_ships(path: Path) -> None:
    document = read_estimator(path)
    for source in document.sources:
        name, _, digest = source.partition(" sha256:")
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest
    assert next(one.mape for one in document.held_out if one.by == "variant") < WHOLE_ANSWERS
    errors = {model.stage: next(o.mape for o in model.held_out if o.by == "variant") for model in document.stages}
    assert all(error < STAGES for stage, error in errors.items() if stage not in MICROSECONDS), errors


def test_the_demos_estimator_prefers_the_smaller_variant() -> None:
    estimator = Estimator(read_estimator(FOLDER / "demo-onnx-float32.estimator.json"))
    costs = estimator.request(Workload(vision_tokens=13, text_tokens=40), output_tokens=20)
    small, large = (costs.predict(Layers.of((8, *(k,) * (d - 1)), experts=64)) for d, k in ((12, 4), (16, 8)))
    assert 0 < small.first_token_ms < large.first_token_ms
    assert small.total_ms < large.total_ms < large.upper_ms
