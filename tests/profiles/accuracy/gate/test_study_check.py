"""A family judged by the study's drops: what agrees, what does not, and what cannot be compared."""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from msgspec.structs import replace

from profiles.accuracy.evaluation.results import read_results, record_of, write_results
from profiles.accuracy.gate.compare import Pair
from profiles.accuracy.gate.limits import Limits
from profiles.accuracy.gate.study_check import DropCheck, check_drop
from profiles.accuracy.study_drops import StudyDrop
from profiles.errors import MeasurementError
from profiles.reports.study_table import show_checks
from runtime.documents.baseline import dump_baseline, read_baseline
from runtime.documents.manifest import read_manifest
from tests.support.answer_settings import ANSWER_SETTINGS
from tests.support.gate_runs import measure, run
from tests.support.paths import STUDY

WHOLE, PRUNED = "b6-k2", "b5-k2"
CLAIM = StudyDrop(removed=(4,), mean=0.03, std=0.01, count=2, datasets=("a", "b"), accuracy=None, places=())


@pytest.fixture
def family(bare_family: Path) -> Path:
    return bare_family


def pairs(drop: float, count: int = 2000) -> dict[str, Pair]:
    after = np.ones(count)
    after[: round(drop * count)] = 0.0
    return {
        name: Pair(dataset=name, task="vqa", baseline=np.ones(count), measured=after, binary=True)
        for name in ("a", "b")
    }


def claim(*removed: int, mean: float = 0.03, count: int = 2, datasets: list[str] | None = None) -> dict[str, object]:
    return {
        "removed": list(removed),
        "mean": mean,
        "std": None,
        "count": count,
        "datasets": datasets,
        "accuracy": None,
        "places": ["here"],
    }


def study_of(
    family: Path, path: Path, *claims: dict[str, object], changes: Mapping[str, object] = MappingProxyType({})
) -> Path:
    """The study's document with other claims, about the model that the small family was cut from unless `changes` say
    otherwise."""
    manifest = read_manifest(family)
    source = {
        "family": manifest.source.architecture,
        "blocks": manifest.source.blocks,
        "parameters": manifest.variant(WHOLE).parameters,
    }
    path.write_text(json.dumps(json.loads(STUDY.read_text()) | source | {"drops": list(claims)} | dict(changes)))
    return path


@pytest.mark.parametrize(
    ("drop", "count", "verdict"),
    [(0.02, 2000, "pass"), (0.06, 2000, "fail"), (0.03, 100, "not enough samples to tell")],
)
def test_a_measured_drop_agrees_with_the_study_or_does_not(drop: float, count: int, verdict: str) -> None:
    measured, found = check_drop(CLAIM, pairs(drop, count), Limits())
    assert found == verdict
    assert math.isclose(measured.mean, drop) and measured.low <= drop <= measured.high
    assert verdict in show_checks(
        "torch", [DropCheck(variant="b3", claim=CLAIM, drop=measured, verdict=found)], width=80
    )


def test_a_few_samples_that_all_stayed_the_same_prove_no_small_drop() -> None:
    few, verdict = check_drop(CLAIM, pairs(0.0, 20), Limits())
    assert verdict == "not enough samples to tell" and few.low < 0 == few.mean < few.high
    many, verdict = check_drop(CLAIM, pairs(0.0), Limits())
    assert verdict == "pass" and 0 < many.high < 0.003
    assert check_drop(CLAIM, pairs(1.0, 20), Limits())[1] == "fail"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"datasets": ("a", "b", "c"), "count": 3}, "the study's drop is over a, b, c; not measured: c"),
        (
            {"datasets": None, "count": 7},
            r"the study's drop is over 7 data sets, of the study's data sets measured: 2 \(a, b\)",
        ),
        ({"datasets": None, "count": 1}, "the study's drop is over 1 data sets"),
    ],
)
def test_a_study_drop_over_other_data_sets_than_measured_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(MeasurementError, match=message):
        check_drop(replace(CLAIM, **changes), pairs(0.0), Limits())


def test_a_family_is_judged_by_the_studys_drops(family: Path, tmp_path: Path) -> None:
    study = study_of(family, tmp_path / "study.json", claim(1))
    good, bad = (
        measure(family, tmp_path / "good.json", {PRUNED: 20}),
        measure(family, tmp_path / "bad.json", {PRUNED: 100}),
    )
    assert run(family, "--baseline", study, "--measured", good)[0] == 0
    status, text = run(family, "--baseline", study, "--measured", bad)
    assert status == 1 and "torch float32: mean drop" in text and "1         3.00             2  5.00  [" in text
    with pytest.raises(MeasurementError, match="the study's drops need the family measured first: trimoe eval"):
        run(family, "--baseline", study, "--measured", tmp_path / "absent.json")
    with pytest.raises(MeasurementError, match=r"good.json: no scores by onnx; it has b6-k2 \(torch float32\)"):
        run(family, "--baseline", study, "--measured", good, "--engine", "onnx")


def test_every_engine_and_dtype_is_checked_and_printed_apart(family: Path, tmp_path: Path) -> None:
    study = study_of(family, tmp_path / "study.json", claim(1))
    path, worse = (
        measure(family, tmp_path / "now.json", {}),
        measure(family, tmp_path / "int8" / "now.json", {PRUNED: 100}),
    )
    both = read_baseline(path), read_baseline(worse)
    int8 = [
        replace(one, engine="onnx", dtype="int8", results=replace(one.results, path=f"int8/{one.results.path}"))
        for one in both[1].scores
    ]
    float32 = [replace(one, engine="onnx") for one in both[0].scores]
    for order in ((*float32, *int8), (*int8, *float32)):
        path.write_bytes(dump_baseline(replace(both[0], scores=(*both[0].scores, *order))))
        status, text = run(family, "--baseline", study, "--measured", path, "--json")
        verdicts = {(part["engine"], part["dtype"]): part["verdict"] for part in json.loads(text)["parts"]}
        assert status == 1 and verdicts == {
            ("torch", "float32"): "pass",
            ("onnx", "float32"): "pass",
            ("onnx", "int8"): "fail",
        }


def test_a_claim_that_cannot_be_checked_stops_no_other(family: Path, tmp_path: Path) -> None:
    study = study_of(family, tmp_path / "study.json", claim(1), claim(1, 3, count=7))
    now = measure(family, tmp_path / "now.json", {})
    status, text = run(family, "--baseline", study, "--measured", now)
    assert status == 4 and text.endswith("\nnot measured (1 pass, 1 not measured)\n")
    assert "the study's drop is over 7 data sets, of the study's data sets measured: 2 (okvqa, tally-qa)" in text
    bad = measure(family, tmp_path / "bad.json", {PRUNED: 100})
    assert run(family, "--baseline", study, "--measured", bad)[0] == 1


def test_a_whole_model_that_was_not_measured_is_asked_for(family: Path, tmp_path: Path) -> None:
    study, path = (
        study_of(family, tmp_path / "study.json", claim(1)),
        measure(family, tmp_path / "now.json", {}, count=30),
    )
    measured = read_baseline(path)
    path.write_bytes(
        dump_baseline(replace(measured, scores=tuple(one for one in measured.scores if one.variant != WHOLE)))
    )
    status, text = run(family, "--baseline", study, "--measured", path)
    assert status == 4 and "the whole model, b6-k2 (no blocks removed), must be measured by torch float32 too" in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"family": "molmoe"}, "(family: molmoe), this family was cut from another model (family: olmoe)"),
        ({"blocks": 16}, "(blocks: 16), this family was cut from another model (blocks: 6)"),
        ({"parameters": 7}, "(parameters: 7), this family was cut from another model"),
    ],
)
def test_a_family_of_another_model_is_not_judged_by_the_studys_drops(
    family: Path, tmp_path: Path, changes: dict, message: str
) -> None:
    study, now = (
        study_of(family, tmp_path / "study.json", claim(1), changes=changes),
        measure(family, tmp_path / "now.json", {}, count=30),
    )
    status, text = run(family, "--baseline", study, "--measured", now)
    assert status == 4 and f"the study measured allenai/MolmoE-1B-0924 {message}" in text


def test_samples_with_other_ids_are_not_paired(family: Path, tmp_path: Path) -> None:
    study, path = (
        study_of(family, tmp_path / "study.json", claim(1)),
        measure(family, tmp_path / "now.json", {}, count=30),
    )
    measured, scores = read_baseline(path), []
    for one in measured.scores:
        if one.variant == PRUNED:
            file = tmp_path / one.results.path
            results = read_results(file)
            write_results(file, ANSWER_SETTINGS, dataclasses.replace(results, ids=results.ids[::-1]))
            one = replace(one, results=record_of(file, tmp_path))
        scores.append(one)
    path.write_bytes(dump_baseline(replace(measured, scores=tuple(scores))))
    status, text = run(family, "--baseline", study, "--measured", path)
    assert status == 4 and "b5-k2 (torch) on okvqa: the results list other samples than b6-k2's" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--against", WHOLE], "--against has no effect here: the study's drops are measured from the whole model"),
        (["--other-model"], "--other-model has no effect here"),
        (["--tolerance", "okvqa=3"], "--tolerance okvqa=… has no effect here"),
        (["--detect", "3"], "--detect has no effect here"),
        (["--power", "0.8"], "--power has no effect here"),
    ],
)
def test_options_without_effect_on_the_studys_drops_are_usage_errors(
    family: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    study, now = (
        study_of(family, tmp_path / "study.json", claim(1)),
        measure(family, tmp_path / "now.json", {}, count=30),
    )
    status, text = run(family, "--baseline", study, "--measured", now, *arguments)
    assert status == 2 and message in " ".join(text.split())
