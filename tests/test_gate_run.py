"""The gate on files: what is paired with what, what is refused, the command's exit status, and the study's own drops."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from echo_engine import EchoEngine, SilentProgress
from small_family import export_small, small_plan, small_source

from profiles.commands.gate import gate
from profiles.datasets.dataset import Dataset, Settings
from profiles.datasets.sample import Sample
from profiles.errors import MeasurementError
from profiles.evaluate import EvalRequest, evaluate, family_record
from profiles.gate import Limits
from profiles.gate_run import GateRequest, LimitOptions, measure_like
from profiles.study_drops import StudyDrop, check_drop, read_study_drops, show_checks
from runtime.baseline import FamilyRecord, read_baseline
from runtime.errors import DocumentError, TrimoeError
from runtime.manifest import read_manifest

STUDY = Path(__file__).parent.parent / "profiles" / "data" / "molmoe-1b" / "study_drops.json"
TASK_TYPES = STUDY.with_name("study_task_types.json")
SETTINGS = Settings(task="vqa", metric="em/molmo", cleanup="cleanup/molmo", prompt="{question}", max_new_tokens=8)


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("family")
    export_small(small_plan(small_source(folder / "source")), folder / "family")
    return folder / "family"


def variants(family: Path) -> list[str]:
    return [variant.id for variant in read_manifest(family).variants]


def dataset(name: str, count: int) -> Dataset:
    return Dataset(name=name, samples=tuple(Sample(id=str(index), question=str(index), answers=("x",)) for index in range(count)), settings=SETTINGS)


def measure(
    family: Path,
    out: Path,
    wrong: dict[str, int],
    *,
    names: tuple[str, ...] = ("okvqa", "tally-qa"),
    count: int = 2000,
    record: FamilyRecord | None = None,
) -> Path:
    """Every variant answers the first `wrong[variant]` questions wrongly."""
    out.parent.mkdir(parents=True, exist_ok=True)

    def opener(variant: str) -> EchoEngine:
        return EchoEngine(lambda prompt: "no" if int(prompt) < wrong.get(variant, 0) else "x")

    evaluate(
        EvalRequest(
            family=record or family_record(read_manifest(family)),
            variants=tuple(variants(family)),
            engines=(("torch", opener),),
            datasets=tuple(dataset(name, count) for name in names),
            batch_size=500,
        ),
        out,
        SilentProgress(),
    )
    return out


def run(family: Path, *arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(gate, [str(family), *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


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
    status, text = run(family, "--baseline", before, "--measured", now, "--tolerance", 3, "--tolerance", "okvqa=0.5", "--json")
    document = json.loads(text)
    assert status == 1 and document["verdict"] == "fail"
    part = next(part for part in document["parts"] if part["variant"] == chosen)
    assert [(one["dataset"], one["tolerance"], one["verdict"]) for one in part["comparisons"]] == [
        ("okvqa", 0.005, "fail"),
        ("tally-qa", 0.03, "pass"),
    ]


def test_too_few_samples_give_status_3(family: Path, tmp_path: Path) -> None:
    before, now = measure(family, tmp_path / "a" / "b.json", {}, count=30), measure(family, tmp_path / "now.json", {}, count=30)
    status, text = run(family, "--baseline", before, "--measured", now, "--variant", variants(family)[0])
    assert status == 3 and text.endswith("\nnot enough samples to tell\n") and "too few, 89 needed" in text


def test_pruned_variants_can_be_judged_against_the_whole_model(family: Path, tmp_path: Path) -> None:
    whole, *_, last = variants(family)
    before, now = measure(family, tmp_path / "a" / "b.json", {last: 100}), measure(family, tmp_path / "now.json", {last: 100})
    assert run(family, "--baseline", before, "--measured", now, "--variant", last)[0] == 0
    status, text = run(family, "--baseline", before, "--measured", now, "--variant", last, "--against", whole)
    assert status == 1 and f"{last} (torch float32) against {whole}" in text and "dropped by 5.0 points" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--variant", "b9"], "no variant 'b9' in this family"),
        (["--engine", "onnx"], "nothing in it can be compared"),
        (["--against", "b9"], r"the baseline has no scores of b9 \(torch float32\); it has "),
        (["--tolerance", "docs=3"], "the baseline has no data set docs; it has okvqa, tally-qa"),
        (["--tolerance", "3", "--detect", "2"], "a tolerance of 3 points needs a larger drop to detect, not 2 points"),
        (["--alpha", "0.7"], "alpha 0.7"),
        (["--data", "demo"], "exists already, so nothing is measured and --data has no meaning"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_a_sentence(family: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    before = measure(family, tmp_path / "b.json", {}, count=30)
    with pytest.raises(TrimoeError, match=message):
        run(family, "--baseline", before, "--measured", before, *arguments)


def test_a_tolerance_that_is_no_number_is_a_usage_error(family: Path, tmp_path: Path) -> None:
    before = measure(family, tmp_path / "b.json", {}, count=30)
    status, text = run(family, "--baseline", before, "--measured", before, "--tolerance", "okvqa=much")
    assert status == 2 and "'okvqa=much' is neither POINTS nor NAME=POINTS" in text


def test_measurements_of_another_family_are_refused(family: Path, tmp_path: Path) -> None:
    other = FamilyRecord(name="other", digest="c" * 64, source_digest="d" * 64)
    before, now = measure(family, tmp_path / "a" / "b.json", {}, count=30), measure(family, tmp_path / "now.json", {}, count=30, record=other)
    with pytest.raises(MeasurementError, match=r"measured another family \(digest cccccccccccc…"):
        run(family, "--baseline", before, "--measured", now)


def test_a_data_set_that_was_not_measured_is_not_passed_over(family: Path, tmp_path: Path) -> None:
    before, now = measure(family, tmp_path / "a" / "b.json", {}, count=30), measure(family, tmp_path / "now.json", {}, count=30, names=("okvqa",))
    with pytest.raises(MeasurementError, match="tally-qa of the baseline was not measured, so the worst data set is unknown"):
        run(family, "--baseline", before, "--measured", now)


def test_other_samples_are_not_paired(family: Path, tmp_path: Path) -> None:
    before, now = measure(family, tmp_path / "a" / "b.json", {}, count=30), measure(family, tmp_path / "now.json", {}, count=31)
    with pytest.raises(MeasurementError, match="the samples differ from the baseline's"):
        run(family, "--baseline", before, "--measured", now)


def request_of(family: Path, baseline: Path, measured: Path) -> GateRequest:
    return GateRequest(
        family=family,
        manifest=read_manifest(family),
        baseline=baseline,
        measured=measured,
        variants=(),
        engine=None,
        against=None,
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


def test_the_studys_drops_are_those_of_its_document() -> None:
    study = read_study_drops(STUDY)
    drops = {drop.removed: drop for drop in study.drops}
    assert len(drops) == len(study.drops) == 23
    assert (drops[4,].mean, drops[4,].std, drops[4,].count, drops[4,].accuracy) == (0.0309, 0.0315, 8, 0.7261)
    assert (drops[2, 4, 10, 13].mean, drops[2, 4, 10, 13].std, drops[2, 4, 10, 13].count) == (0.1836, 0.1890, 2)
    assert drops[2, 10].datasets == ("coco-2014-vqa", "coco-caption") and drops[2, 12].datasets is None
    assert dict(study.metrics)["st-qa"] == "ansl_em"
    types = json.loads(TASK_TYPES.read_text())["task_types"]
    assert {one["task"] for one in types} == {"vqa", "captioning", "counting", "multiple choice", "document", "scene text"}
    assert next(one for one in types if one["task"] == "vqa")["mean"] == 0.1558


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("format",), "trimoe.baseline", "format: expected 'trimoe.study-drops'"),
        (("version",), 9, "version: this trimoe reads version 1"),
        (("drops", 1, "mean"), 3.09, r"drops\[1\].mean: 3.09 is not a fraction"),
        (("drops", 1, "removed"), [16], r"drops\[1\].removed\[0\]: 16 is above the greatest allowed, 15"),
        (("drops", 6, "removed"), [10, 2], r"drops\[6\].removed: expected distinct blocks in ascending order"),
        (("drops", 6, "datasets"), ["okvqa"], r"drops\[6\].datasets: 1 names for 2 data sets"),
    ],
)
def test_wrong_study_documents_are_named_with_their_place(tmp_path: Path, place: tuple, value: object, message: str) -> None:
    document = json.loads(STUDY.read_text())
    node = document
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    path = tmp_path / "study.json"
    path.write_text(json.dumps(document))
    with pytest.raises(DocumentError, match=message):
        read_study_drops(path)


CLAIM = StudyDrop(removed=(4,), mean=0.03, std=0.01, count=2, datasets=("a", "b"), accuracy=None, places=())


def dropped(drop: float, count: int = 2000) -> dict[str, np.ndarray]:
    values = np.ones(count)
    values[: round(drop * count)] = 0.0
    return {"a": values, "b": values}


@pytest.mark.parametrize(
    ("drop", "count", "verdict"),
    [(0.02, 2000, "pass"), (0.06, 2000, "fail"), (0.03, 100, "not enough samples to tell")],
)
def test_a_measured_drop_agrees_with_the_study_or_does_not(drop: float, count: int, verdict: str) -> None:
    check = check_drop(CLAIM, dropped(0.0, count), dropped(drop, count), Limits())
    assert check.verdict == verdict
    assert math.isclose(check.measured, drop) and check.low <= drop <= check.high
    assert verdict in show_checks([check])


def test_a_study_drop_over_data_sets_that_were_not_measured_is_refused() -> None:
    with pytest.raises(MeasurementError, match=r"removed \[4\]: the study's drop is over a, b, c; not measured: c"):
        check_drop(replace(CLAIM, datasets=("a", "b", "c")), dropped(0.0), dropped(0.0), Limits())


def test_a_family_is_judged_by_the_studys_drops(family: Path, tmp_path: Path) -> None:
    whole, pruned = (next(v.id for v in read_manifest(family).variants if v.removed == removed) for removed in ((), (1,)))
    document = json.loads(STUDY.read_text()) | {
        "drops": [{"removed": [1], "mean": 0.03, "std": None, "count": 2, "datasets": None, "accuracy": None, "places": ["here"]}]
    }
    study = tmp_path / "study.json"
    study.write_text(json.dumps(document))
    good, bad = measure(family, tmp_path / "good.json", {pruned: 20}), measure(family, tmp_path / "bad.json", {pruned: 100})
    assert run(family, "--baseline", study, "--measured", good)[0] == 0
    status, text = run(family, "--baseline", study, "--measured", bad)
    assert status == 1 and "  1                3.00           2   5.00 [" in text
    with pytest.raises(MeasurementError, match="the study's drops need the family measured first: trimoe eval"):
        run(family, "--baseline", study, "--measured", tmp_path / "absent.json")
    assert read_baseline(good).scores[0].variant == whole
