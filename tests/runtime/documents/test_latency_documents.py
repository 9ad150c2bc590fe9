"""Latency profiles and estimators as documents: read back equal, refused with the place of what is wrong."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from runtime.documents.latency.estimator_document import (
    dump_estimator,
    read_estimator,
)
from runtime.documents.latency.profile_document import (
    dump_profile,
    read_profile,
)
from runtime.errors import DocumentError
from tests.support.json_edits import write_changed
from tests.support.latency_documents import ESTIMATOR, PROFILE


def write(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document))
    return path


def test_both_read_back_equal(tmp_path: Path) -> None:
    profile, estimator = tmp_path / "profile.json", tmp_path / "estimator.json"
    profile.write_bytes(dump_profile(PROFILE))
    estimator.write_bytes(dump_estimator(ESTIMATOR))
    assert read_profile(profile) == PROFILE
    assert read_estimator(estimator) == ESTIMATOR


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("format", "trimoe.baseline", "format: expected 'trimoe.latency-profile': this is not a latency profile"),
        ("version", 2, "version: this trimoe reads version 1, the file has 2"),
        ("points.0.variant", "b9-k9", "points[0].variant: 'b9-k9' is none of the variants"),
        ("footprints.0.variant", "b9-k9", "footprints[0].variant: 'b9-k9' is none of the variants"),
        ("footprints.0.energy_j", 0, "footprints[0].energy_j: 0 is not above 0"),
        ("points.0.median_ms", 0, "points[0].median_ms: 0 is not above 0"),
        ("points.0.median_ms", 9, "points[0].median_ms: 9.0 is not between p5_ms and p95_ms"),
        ("variants.0.top_k", [8], "variants[0].top_k: 1 entries for 2 layers"),
        ("variants.0.top_k", [8, 65], "variants[0].top_k: 65 is above model.experts, 64"),
        ("extra", 1, 'the key "extra" is unknown'),
    ],
)
def test_what_is_wrong_in_a_profile_is_named(path: str, value: Any, message: str, tmp_path: Path) -> None:
    file = write_changed(dump_profile(PROFILE), place_of(path), value, tmp_path / "p.json")
    with pytest.raises(DocumentError, match=re.escape(f"p.json: {message}")):
        read_profile(file)


def test_a_point_or_a_variant_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    document = json.loads(dump_profile(PROFILE))
    twice = {**document, "points": [*document["points"], document["points"][1]]}
    with pytest.raises(DocumentError, match=r"p.json: points\[2\]: b2-k4, stage decode, is there twice under the same"):
        read_profile(write(tmp_path / "p.json", twice))
    twice = {**document, "variants": document["variants"] * 2}
    with pytest.raises(DocumentError, match=r"p.json: variants\[1\].id: b2-k4 occurs twice"):
        read_profile(write(tmp_path / "p.json", twice))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("format", "x", "format: expected 'trimoe.latency-estimator': this is not a latency estimator of trimoe"),
        ("version", 0, "version: this trimoe reads version 1, the file has 0"),
        ("bound", 0.5, "bound: 0.5 is below the least allowed, 1"),
        ("stages.0.terms.0.ms", -1, "stages[0].terms[0].ms: -1 is below the least allowed, 0"),
        ("stages.0.terms.1.name", "layer", "stages[0].terms[1].name: layer occurs twice"),
        ("domain.0.low", 9, "domain[0].low: 9.0 is above high, 4.5"),
    ],
)
def test_what_is_wrong_in_an_estimator_is_named(path: str, value: Any, message: str, tmp_path: Path) -> None:
    file = write_changed(dump_estimator(ESTIMATOR), place_of(path), value, tmp_path / "e.json")
    with pytest.raises(DocumentError, match=re.escape(f"e.json: {message}")):
        read_estimator(file)


def place_of(path: str) -> tuple[str | int, ...]:
    return tuple(int(step) if step.isdecimal() else step for step in path.split("."))
