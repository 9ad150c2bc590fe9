"""The gate on files: what is paired with what, what is refused, and the command's exit status."""

import dataclasses
import json
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from profiles.accuracy.gate.gate_request import GateRequest, ScoreChoice
from profiles.accuracy.gate.limits import LimitOptions
from profiles.accuracy.gate.limits_file import limits_of_file
from profiles.accuracy.gate.measure_like import measure_like
from profiles.commands.gate import gate
from profiles.errors import MeasurementError
from runtime.documents.baseline import FamilyRecord, dump_baseline, read_baseline
from runtime.documents.manifest import read_manifest
from runtime.errors import TrimoeError
from tests.support.echo_engine import SilentProgress
from tests.support.gate_runs import measure, run, variants


@pytest.fixture
def family(bare_family: Path) -> Path:
    return bare_family


def test_an_unchanged_family_passes_with_status_0(family: Path, tmp_path: Path) -> None:
    before, now = measure(family, tmp_path / "a" / "b.json", {}), measure(family, tmp_path / "now.json", {})
    status, text = run(family, "--baseline", before, "--measured", now)
    assert status == 0
    assert text.endswith(f"\npass ({len(variants(family))} pass)\n")


def test_a_variant_that_dropped_fails_the_family_with_status_1(family: Path, tmp_path: Path) -> None:
    chosen = variants(family)[1]
    before, now = measure(family, tmp_path / "a" / "b.json", {}), measure(family, tmp_path / "now.json", {chosen: 40})
    status, text = run(family, "--baseline", before, "--measured", now)
    assert status == 1 and "fail: okvqa dropped by 2.0 points, tolerated are 0" in text
    status, text = run(family, "--baseline", before, "--measured", now, "--tolerance", 3)
    assert status == 0
    status, text = run(
        family, "--baseline", before, "--measured", now, "--tolerance", 3, "--tolerance", "okvqa=0.5", "--json"
    )
    document = json.loads(text)
    assert status == 1 and document["verdict"] == "fail"
    part = next(part for part in document["parts"] if part["variant"] == chosen)
    assert [(one["dataset"], one["tolerance"], one["verdict"]) for one in part["comparisons"]] == [
        ("okvqa", 0.005, "fail"),
        ("tally-qa", 0.03, "pass"),
    ]


def test_too_few_samples_give_status_3(family: Path, tmp_path: Path) -> None:
    before, now = (
        measure(family, tmp_path / "a" / "b.json", {}, count=30),
        measure(family, tmp_path / "now.json", {}, count=30),
    )
    status, text = run(family, "--baseline", before, "--measured", now, "--variant", variants(family)[0])
    assert status == 3 and text.endswith("\nnot enough samples to tell\n") and "too few, 89 needed" in text


def test_pruned_variants_can_be_judged_against_the_whole_model(family: Path, tmp_path: Path) -> None:
    whole, *_, last = variants(family)
    before, now = (
        measure(family, tmp_path / "a" / "b.json", {last: 100}),
        measure(family, tmp_path / "now.json", {last: 100}),
    )
    assert run(family, "--baseline", before, "--measured", now, "--variant", last)[0] == 0
    status, text = run(family, "--baseline", before, "--measured", now, "--variant", last, "--against", whole)
    assert status == 1 and f"{last} (torch float32) against {whole}" in text and "dropped by 5.0 points" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--variant", "b9"], "no variant 'b9' in this family"),
        (["--engine", "onnx"], "okvqa, tally-qa of the baseline was not measured"),
        (["--against", "b9"], r"the baseline has no scores of b9 \(torch float32\); it has "),
        (["--tolerance", "docs=3"], "the baseline has no data set docs; it has okvqa, tally-qa"),
        (["--tolerance", "3", "--detect", "2"], "a tolerance of 3 points needs a larger drop to detect, not 2 points"),
        (["--alpha", "0.7"], "alpha 0.7"),
        (["--data", "demo"], "exists already, so nothing is measured and --data has no meaning"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_a_sentence(
    family: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    before = measure(family, tmp_path / "b.json", {}, count=30)
    with pytest.raises(TrimoeError, match=message):
        run(family, "--baseline", before, "--measured", before, *arguments)


def test_a_tolerance_that_is_no_number_is_a_usage_error(family: Path, tmp_path: Path) -> None:
    before = measure(family, tmp_path / "b.json", {}, count=30)
    status, text = run(family, "--baseline", before, "--measured", before, "--tolerance", "okvqa=much")
    assert status == 2 and "'okvqa=much' is neither POINTS nor NAME=POINTS" in text


def test_measurements_of_another_family_are_refused(family: Path, tmp_path: Path) -> None:
    other = FamilyRecord(name="other", digest="c" * 64, source_digest="d" * 64)
    before, now = (
        measure(family, tmp_path / "a" / "b.json", {}, count=30),
        measure(family, tmp_path / "now.json", {}, count=30, record=other),
    )
    with pytest.raises(MeasurementError, match=r"measured another family \(digest cccccccccccc…"):
        run(family, "--baseline", before, "--measured", now)


def test_a_measurement_that_is_there_is_taken_with_a_word_on_what_made_it(family: Path, tmp_path: Path) -> None:
    before, now = measure(family, tmp_path / "a" / "b.json", {}), measure(family, tmp_path / "now.json", {})
    os.utime(now, (1_700_000_000, 1_700_000_000))
    told = CliRunner().invoke(gate, [str(family), "--baseline", str(before), "--measured", str(now)]).stderr
    assert told.startswith(f"{now}: exists, so nothing is measured: ")
    assert "written 2023-11-14 22:13 UTC by trimoe " in told and ", scores by torch float32 (echo 1, processor " in told
    assert told.endswith("); remove the file to measure again\n")


def test_a_measurement_by_another_engine_or_in_another_type_is_not_taken(family: Path, tmp_path: Path) -> None:
    before, now = measure(family, tmp_path / "a" / "b.json", {}), measure(family, tmp_path / "now.json", {})
    baseline = read_baseline(before)
    for engine, dtype in (("onnx", "float32"), ("torch", "bfloat16")):
        before.write_bytes(
            dump_baseline(
                replace(baseline, scores=tuple(replace(one, engine=engine, dtype=dtype) for one in baseline.scores))
            )
        )
        with pytest.raises(
            MeasurementError, match=rf"\({engine} {dtype}\): okvqa, tally-qa of the baseline was not measured"
        ):
            run(family, "--baseline", before, "--measured", now)


OTHER_MODEL = FamilyRecord(name="other", digest="c" * 64, source_digest="d" * 64)


def test_a_baseline_of_another_model_is_refused_before_anything_is_measured(family: Path, tmp_path: Path) -> None:
    before = measure(family, tmp_path / "a" / "b.json", {}, record=OTHER_MODEL)
    message = (
        r"b\.json: of another model, other \(checkpoint digest dddddddddddd…\), not source \(.*; "
        r"--other-model compares the two"
    )
    with pytest.raises(MeasurementError, match=message):
        run(family, "--baseline", before, "--measured", tmp_path / "now.json")
    with pytest.raises(MeasurementError, match=message):
        run(family, "--baseline", before, "--measured", measure(family, tmp_path / "now.json", {}))


def test_a_baseline_of_another_model_is_compared_where_that_is_asked_for_and_the_outcome_says_so(
    family: Path, tmp_path: Path
) -> None:
    before, now = (
        measure(family, tmp_path / "a" / "b.json", {}, record=OTHER_MODEL),
        measure(family, tmp_path / "now.json", {}),
    )
    status, text = run(family, "--baseline", before, "--measured", now, "--other-model")
    assert status == 0 and text.startswith(
        "the baseline is of another model, other (checkpoint digest dddddddddddd…), not source ("
    )
    document = json.loads(run(family, "--baseline", before, "--measured", now, "--other-model", "--json")[1])
    assert document["note"] == text.splitlines()[0]
    assert json.loads(run(family, "--baseline", now, "--measured", now, "--json")[1])["note"] is None


def test_a_data_set_that_was_not_measured_is_not_passed_over(family: Path, tmp_path: Path) -> None:
    before, now = (
        measure(family, tmp_path / "a" / "b.json", {}, count=30),
        measure(family, tmp_path / "now.json", {}, count=30, names=("okvqa",)),
    )
    with pytest.raises(
        MeasurementError, match="tally-qa of the baseline was not measured, so the worst data set is unknown"
    ):
        run(family, "--baseline", before, "--measured", now)


def test_other_samples_are_not_paired(family: Path, tmp_path: Path) -> None:
    before, now = (
        measure(family, tmp_path / "a" / "b.json", {}, count=30),
        measure(family, tmp_path / "now.json", {}, count=31),
    )
    with pytest.raises(MeasurementError, match="the samples differ from the baseline's"):
        run(family, "--baseline", before, "--measured", now)


def request_of(family: Path, baseline: Path, measured: Path) -> GateRequest:
    return GateRequest(
        family=family,
        manifest=read_manifest(family),
        baseline=baseline,
        measured=measured,
        choice=ScoreChoice(),
        limits=LimitOptions(),
    )


def test_measuring_like_a_baseline_asks_for_data_sets_that_have_no_place(family: Path, tmp_path: Path) -> None:
    before = measure(family, tmp_path / "b.json", {}, count=30)
    with pytest.raises(MeasurementError, match="the baseline has okvqa; say where it is: --data okvqa=PATH"):
        measure_like(request_of(family, before, tmp_path / "now.json"), (), {}, SilentProgress())


def test_measuring_like_a_baseline_refuses_other_samples(family: Path, tmp_path: Path) -> None:
    before = measure(family, tmp_path / "b.json", {}, count=2, names=("mine",))
    path = tmp_path / "mine.jsonl"
    path.write_text('{"question": "0", "answers": ["x"]}\n{"question": "other", "answers": ["x"]}\n')
    with pytest.raises(MeasurementError, match="mine: not the baseline's samples"):
        measure_like(request_of(family, before, tmp_path / "now.json"), (f"mine={path}",), {}, SilentProgress())


@pytest.mark.parametrize(
    ("variants", "engine", "message"),
    [
        ((), "onnx", "the baseline has okvqa; say where it is: --data okvqa=PATH"),
        (("b5-k1",), None, r"no scores of b5-k1; it has b6-k2 \(torch float32\)"),
    ],
)
def test_measuring_like_a_baseline_without_such_scores_is_refused(
    family: Path, tmp_path: Path, variants: tuple[str, ...], engine: str | None, message: str
) -> None:
    path = measure(family, tmp_path / "b.json", {}, count=2)
    baseline = read_baseline(path)
    path.write_bytes(
        dump_baseline(replace(baseline, scores=tuple(one for one in baseline.scores if one.variant == "b6-k2")))
    )
    request = dataclasses.replace(
        request_of(family, path, tmp_path / "now.json"), choice=ScoreChoice(variants=variants, engine=engine)
    )
    with pytest.raises(MeasurementError, match=message):
        measure_like(request, (), {}, SilentProgress())


def test_measuring_like_a_baseline_without_scores_is_refused(family: Path, tmp_path: Path) -> None:
    path = measure(family, tmp_path / "b.json", {}, count=2)
    path.write_bytes(dump_baseline(replace(read_baseline(path), scores=())))
    with pytest.raises(MeasurementError, match=r"b\.json: no scores; it has none at all"):
        measure_like(request_of(family, path, tmp_path / "now.json"), (), {}, SilentProgress())


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("metric", "em/other", r"okvqa: the metric differs from the baseline's \('em/other', there 'em/molmo'\)"),
        (
            "meaning",
            "as before, mended",
            r"okvqa: the metric's definition differs from the baseline's \('as before, mended', there 'the answer is",
        ),
    ],
)
def test_another_metric_or_another_definition_of_it_is_not_paired(
    family: Path, tmp_path: Path, field: str, value: str, message: str
) -> None:
    before, path = (
        measure(family, tmp_path / "a" / "b.json", {}, count=30),
        measure(family, tmp_path / "now.json", {}, count=30),
    )
    now = read_baseline(path)
    scores = tuple(replace(one, definition=replace(one.definition, **{field: value})) for one in now.scores)
    path.write_bytes(dump_baseline(replace(now, scores=scores)))
    with pytest.raises(MeasurementError, match=message):
        run(family, "--baseline", before, "--measured", path)


def crossed(family: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A baseline by torch, and a measurement by ONNX in int8 in which one variant dropped."""
    before = measure(family, tmp_path / "a" / "b.json", {})
    now = measure(family, tmp_path / "now.json", {variants(family)[1]: 40}, engine="onnx", dtype="int8")
    return before, now


def test_another_engine_and_type_is_compared_with_the_only_form_of_the_baseline(family: Path, tmp_path: Path) -> None:
    before, now = crossed(family, tmp_path)
    status, text = run(family, "--baseline", before, "--measured", now, "--engine", "onnx", "--dtype", "int8")
    whole, pruned = variants(family)[:2]
    assert f"{whole} (onnx int8) against {whole} (torch float32)" in text
    assert status == 1 and f"{pruned} (onnx int8) against" in text
    with pytest.raises(MeasurementError, match="the baseline has torch float32: say with --against-engine"):
        run(family, "--baseline", before, "--measured", now, "--dtype", "int8", "--against-engine", "onnx")


def test_what_changed_is_reported_with_question_and_answers(family: Path, tmp_path: Path) -> None:
    before, now = crossed(family, tmp_path)
    asked = ("--baseline", before, "--measured", now, "--engine", "onnx", "--dtype", "int8")
    for suffix in ("md", "xml", "json"):
        assert run(family, *asked, "--report", tmp_path / f"gate.{suffix}")[0] == 1
    text = (tmp_path / "gate.md").read_text("utf-8")
    assert text.startswith("# Gate: fail\n") and "| okvqa | 0 | 0 | x | x | no | 1 → 0 |" in text
    root = ElementTree.parse(tmp_path / "gate.xml").getroot()
    counts = [(suite.get("tests"), suite.get("failures")) for suite in root.iter("testsuite")]
    assert counts.count(("2", "2")) == 1 and counts.count(("2", "0")) == len(counts) - 1
    document = json.loads((tmp_path / "gate.json").read_text("utf-8"))
    assert len(document["changed"]) == 80 and document["changed"][0]["right"] == ["x"]


def test_limits_come_from_a_file_and_the_command_line_goes_before_it(family: Path, tmp_path: Path) -> None:
    before, now = (
        measure(family, tmp_path / "b.json", {}),
        measure(family, tmp_path / "n.json", {variants(family)[1]: 40}),
    )
    limits = tmp_path / "limits.toml"
    limits.write_text("alpha = 0.01\n[okvqa]\ntolerance = 3\ndetect = 5\n[tally-qa]\ntolerance = 3\n", encoding="utf-8")
    asked = ("--baseline", before, "--measured", now, "--limits", limits, "--json")
    status, text = run(family, *asked)
    first = json.loads(text)["parts"][0]["comparisons"][0]
    assert (status, first["tolerance"], first["detect"], first["alpha"]) == (0, 0.03, 0.05, 0.01)
    assert run(family, *asked, "--tolerance", "okvqa=0")[0] == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("alpha = 'x'", "alpha is 'x': expected a number"),
        ("beta = 1", "beta is unknown; at the top are alpha, power"),
        ("[okvqa]\nlimit = 1", "okvqa.limit is unknown; a data set has tolerance, detect"),
        ("[okvqa", "no TOML file of limits"),
    ],
)
def test_a_file_of_limits_is_read_strictly(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "limits.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MeasurementError, match=said) as error:
        limits_of_file(path)
    assert str(path) in str(error.value)


def test_another_batch_size_and_other_software_are_told(family: Path, tmp_path: Path) -> None:
    before = measure(family, tmp_path / "a" / "b.json", {}, count=300)
    baseline = read_baseline(before)
    older = replace(baseline, software={**baseline.software, "python": "3.0"})
    now = measure(family, tmp_path / "now.json", {}, count=300)
    before.write_bytes(dump_baseline(older))
    _, text = run(family, "--baseline", before, "--measured", now)
    assert "differs: python 3." in text and "the baseline had 3.0" in text
