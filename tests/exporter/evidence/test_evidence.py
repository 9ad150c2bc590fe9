"""Evidence readers: the real files, each shape and strategy, and every inconsistency by name."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.evidence.evidence import Importance
from exporter.evidence.files import as_any, as_importance, as_recommendations, read_evidence_file, read_evidence_files
from exporter.evidence.strategies import Rule
from runtime.errors import DocumentError, PlanError, TrimoeError
from tests.support.evidence_documents import (
    ASSIGNED_SCORES,
    STUDY_SCORES,
    analysis,
    combination,
    recommendation,
    recommended,
    sets,
    write_json,
)
from tests.support.paths import ROOT

DEMO_EVIDENCE = ROOT / "profiles" / "data" / "demo" / "evidence"
TWO = {"okvqa": 0.02, "doc-qa": 0.04}


def importance(path: Path, *, blocks: int = 16) -> Importance:
    return as_importance(read_evidence_file(path), blocks=blocks)


@pytest.mark.parametrize(
    ("path", "count", "lowest"), [(STUDY_SCORES, 14, [3, 4, 7, 12]), (ASSIGNED_SCORES, 16, [4, 13, 10, 2])]
)
def test_the_real_score_files_read_and_their_lowest_four_are_known(path: Path, count: int, lowest: list[int]) -> None:
    scores = importance(path).scores
    assert len(scores) == count
    assert [block for block, _ in sorted(scores, key=lambda pair: pair[1])][:4] == lowest


@pytest.mark.parametrize("key", ["merged_scores", "importance_scores", "layer_importance_scores", "scores"])
def test_the_full_form_holds_the_flat_one_under_one_key(key: str, tmp_path: Path) -> None:
    full = {
        "method": "average",
        "weights": None,
        "per_dataset_scores": {"okvqa": {"0": 1.0}},
        key: {"1": 2, "0": 0.5},
        "ranking": [1, 0],
    }
    assert importance(write_json(tmp_path / "full.json", full)).scores == ((1, 2.0), (0, 0.5))


def test_recommendations_read_in_order_of_size_with_sorted_blocks_and_data_sets(tmp_path: Path) -> None:
    document = {"2": recommendation(13, 4) | {"incremental_drop": 0.0232}, "1": recommendation(4, drop=0.01)}
    found = recommended(write_json(tmp_path / "r.json", document))
    assert sets(found) == [[4], [4, 13]]
    assert found.steps[1].drop.datasets == ("doc-qa", "okvqa")
    assert (found.kind, found.strategy, found.steps[0].drop.mean) == ("recommendations", "recommendations", 0.01)


def test_a_strategy_needs_an_analysis_and_scores_are_no_recommendation(tmp_path: Path) -> None:
    path = write_json(tmp_path / "r.json", {"1": recommendation(4)})
    with pytest.raises(PlanError, match=r"--strategy robust needs a cross_dataset_analysis\.json"):
        recommended(path, strategy="robust")
    with pytest.raises(PlanError, match="holds recommended sets of blocks, not importance scores"):
        importance(path)
    with pytest.raises(PlanError, match=r"holds importance scores, not recommended sets of blocks"):
        recommended(STUDY_SCORES)


def test_any_kind_is_recognised_by_its_shape(tmp_path: Path) -> None:
    cross = write_json(tmp_path / "c.json", analysis(combination(TWO, 4)))
    ready = write_json(tmp_path / "r.json", {"1": recommendation(4)})
    sources = [read_evidence_file(path) for path in (cross, ready, STUDY_SCORES)]
    found = [
        as_any(source, Rule(strategy="independent", min_datasets=3, protected=(0,)), blocks=16) for source in sources
    ]
    assert [getattr(each, "kind", "importance") for each in found] == [
        "cross-dataset-analysis",
        "recommendations",
        "importance",
    ]


def test_files_of_one_name_are_told_apart_by_their_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    paths = (write_json(tmp_path / "a" / "s.json", {}), write_json(tmp_path / "b" / "s.json", {}), STUDY_SCORES)
    assert [file.label for file in read_evidence_files(paths)] == [
        "a/s.json",
        "b/s.json",
        "layer_importance_scores.json",
    ]


def assert_refused(read: Callable[[Path], object], path: Path, *phrases: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read(path)
    for phrase in phrases:
        assert phrase in str(caught.value)


BAD_SCORES: list[tuple[Any, str]] = [
    ({}, "holds no score"),
    ({"1": "0.5"}, '["1"]: expected a number, found the string "0.5"'),
    ({"1": None}, '["1"]: expected a number, found null'),
    ({"1": True}, '["1"]: expected a number, found true'),
    ({"16": 0.5}, '["16"]: no block 16: the model has blocks 0–15'),
    ({"01": 0.5}, "the key '01' is not a block index"),
    ({"-1": 0.5, "1": 0.5}, "the key '-1' is not a block index"),
    ({"1": 0.5, "mean": 0.5}, "the key 'mean' is not a block index"),
    ({"9" * 30: 0.5}, "is not a block index"),
    (b'{"1": NaN}', "NaN is not a JSON number"),
    (b'{"1": 1e999}', "the number 1e999 is too large"),
    (b'{"1": 0.1, "1": 0.2}', 'the key "1" occurs twice'),
    (b'{"1": 0.1', "line 1 column 10"),
    (b'{"1": "\xff"}', "byte 7: not UTF-8"),
    ([0.1, 0.2], "expected an object, found a list of 2"),
    ({"method": "average"}, "no importance scores"),
    ({"scores": {"1": 1}, "merged_scores": {"1": 1}}, "merged_scores and scores both hold scores"),
    ({"scores": [1, 2]}, "scores: expected an object"),
    ({"scores": {}}, "scores: holds no score"),
    ({"scores": {"x": 1}}, "scores[\"x\"]: the key 'x' is not a block index"),
]


@pytest.mark.parametrize(("document", "phrase"), BAD_SCORES, ids=range(len(BAD_SCORES)))
def test_bad_scores_are_refused_with_file_and_place(document: Any, phrase: str, tmp_path: Path) -> None:
    path = write_json(tmp_path / "bad.json", document)
    assert_refused(importance, path, phrase, str(path))


BAD_RECOMMENDATIONS: list[tuple[Any, str]] = [
    ({}, "holds no recommendation"),
    ({"one": recommendation(4)}, "the key 'one' is not a number of removed blocks"),
    ({"0": recommendation()}, "the key '0' is not a number of removed blocks"),
    ({"2": recommendation(4)}, '["2"].removed_blocks: 1 blocks, [4], under the key 2'),
    ({"1": recommendation(16)}, '["1"].removed_blocks[0]: no block 16: the model has blocks 0–15'),
    ({"1": recommendation(-1)}, "no block -1"),
    ({"2": recommendation(4, 4)}, "block 4 is listed twice"),
    ({"1": recommendation(4) | {"removed_blocks": ["4"]}}, "removed_blocks[0]: expected an integer"),
    ({"1": recommendation(4) | {"removed_blocks": 4}}, "removed_blocks: expected a list"),
    ({"1": recommendation(4) | {"avg_drop": "3 %"}}, '["1"].avg_drop: expected a number'),
    (
        {"1": recommendation(4, drop=3.09)},
        '["1"].avg_drop: 3.09 is above 1: drops are fractions (0.0309 is 3.09 points)',
    ),
    (
        {"1": recommendation(4, std=3.15)},
        '["1"].std_drop: 3.15 is above 1: drops are fractions (0.0315 is 3.15 points)',
    ),
    ({"1": recommendation(4, drop=3.09, datasets=("okvqa", "coco-caption"))}, '["1"].avg_drop: 3.09 is above 1'),
    ({"1": recommendation(4, std=-0.1)}, '["1"].std_drop: a spread cannot be negative'),
    ({"1": recommendation(4) | {"num_datasets": 8}}, '["1"].num_datasets: 8 data sets, but ["1"].datasets lists 2'),
    ({"1": recommendation(4, datasets=("a", "a"))}, '["1"].datasets: a data set is listed twice'),
    ({"1": recommendation(4, datasets=())}, '["1"].num_datasets: 0 is below the least allowed, 1'),
    ({"1": {k: v for k, v in recommendation(4).items() if k != "std_drop"}}, '["1"]: the key "std_drop" is missing'),
    ({"1": recommendation(4) | {"avg_drop": -0.01}}, '["1"].avg_drop: -0.01: a drop below 0 is a gain'),
    (
        {"1": recommendation(4, datasets=("a", "b\x1b[2J"))},
        "[\"1\"].datasets[1]: the name 'b\\x1b[2J' holds a character that cannot be shown",
    ),
    ({"9" * 5000: recommendation(4)}, f"the key '{'9' * 37}...' is not a number of removed blocks"),
    ({"1": [4]}, '["1"]: expected an object, found a list of 1'),
]


@pytest.mark.parametrize(("document", "phrase"), BAD_RECOMMENDATIONS, ids=range(len(BAD_RECOMMENDATIONS)))
def test_bad_recommendations_are_refused_with_file_and_place(document: Any, phrase: str, tmp_path: Path) -> None:
    path = write_json(tmp_path / "bad.json", document)
    assert_refused(recommended, path, phrase, str(path))


def changed(**fields: Any) -> dict[str, Any]:
    key, stats = combination(TWO, 4, 13)
    return analysis((key, stats | fields))


BAD_ANALYSES: list[tuple[Any, str]] = [
    ({"combination_stats": []}, "combination_stats: expected an object"),
    (changed(removed_blocks=[4]), "removed_blocks: [4] stands under the key '(4, 13)'"),
    (changed(removed_blocks=[13, 4]), "stands under the key"),
    (changed(num_removed=3), "num_removed: 3, but removed_blocks lists 2"),
    (changed(num_datasets_tested=3), "num_datasets_tested: 3 data sets, but"),
    (changed(datasets=["okvqa", "st-qa"]), "data sets doc-qa, okvqa, but datasets lists okvqa, st-qa"),
    (changed(avg_accuracy_drop=0.04), "avg_accuracy_drop: 0.04, but accuracy_drops_by_dataset gives 0.03"),
    (changed(std_accuracy_drop=0.02), "std_accuracy_drop: 0.02, but accuracy_drops_by_dataset gives 0.01"),
    (
        changed(accuracy_drops_by_dataset={"okvqa": 1e308, "doc-qa": 1e308}),
        'accuracy_drops_by_dataset["okvqa"]: 1e+308 is above 1',
    ),
    (
        analysis(combination({"okvqa": 2.0, "doc-qa": 4.0}, 4)),
        '["okvqa"]: 2.0 is above 1: drops are fractions (0.02 is 2 points); only captions',
    ),
    (
        analysis(combination({"okvqa": -2.0, "doc-qa": 4.0}, 4)),
        '["okvqa"]: -2.0 is below -1: drops are fractions (-0.02 is -2 points)',
    ),
    (
        analysis(combination({"coco-caption": 30.9}, 4)),
        '["coco-caption"]: 30.9 is above 10: drops are fractions (0.309 is 30.9 points)',
    ),
    (changed(avg_accuracy_drop=3.0), "avg_accuracy_drop: 3.0 is above 1: drops are fractions (0.03 is 3 points)"),
    (changed(std_accuracy_drop=1.5), "std_accuracy_drop: 1.5 is above 1: drops are fractions (0.015 is 1.5 points)"),
    (analysis(combination(TWO, 4, 13), combination(TWO, 13, 4)), "the same blocks as under '(4, 13)'"),
    (analysis(combination(TWO, 4, 16)), "removed_blocks[1]: no block 16"),
]


@pytest.mark.parametrize(("document", "phrase"), BAD_ANALYSES, ids=range(len(BAD_ANALYSES)))
def test_bad_analyses_are_refused_with_file_and_place(document: Any, phrase: str, tmp_path: Path) -> None:
    path = write_json(tmp_path / "bad.json", document)
    assert_refused(recommended, path, phrase, f"{path}: combination_stats")


def test_a_combination_counted_twice_in_one_data_set_is_explained(tmp_path: Path) -> None:
    drops = {"okvqa": 0.02, "doc-qa": 0.04}
    path = write_json(
        tmp_path / "bad.json",
        changed(accuracy_drops_by_dataset=drops, avg_accuracy_drop=math.fsum([0.02, 0.02, 0.04]) / 3),
    )
    with pytest.raises(DocumentError, match="a combination measured twice in one data set does this"):
        recommended(path)


MERGED = "give --importance the scores that the study's merge wrote"
ANALYSED = "give --recommendations the cross_dataset_analysis.json or pruning_recommendations.json"
MEASUREMENTS = [
    ("importance/digits-mc/importance_comparison_digits-mc.json", MERGED),
    ("sensitivity/digits-mc/train/sensitivity_block_0.json", MERGED),
    ("search/digits-mc/train+validation/exp3_accuracy_sensitivity_v2_results.json", ANALYSED),
    ("importance", MERGED),
    ("importance/digits-mc", MERGED),
    ("sensitivity", MERGED),
    ("search", ANALYSED),
]


@pytest.mark.parametrize(("name", "instead"), MEASUREMENTS, ids=[name for name, _ in MEASUREMENTS])
def test_files_and_folders_of_the_study_that_are_no_choice_name_the_file_that_is(name: str, instead: str) -> None:
    path = DEMO_EVIDENCE / name
    with pytest.raises(PlanError) as caught:
        read_evidence_file(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert instead in str(caught.value)


@pytest.mark.parametrize(
    ("document", "phrase"),
    [
        (
            {"step": 1, "active_block_indices": [0], "removed_block_indices": [4], "accuracy": 0.5},
            "holds one configuration of the beam search on one data set, which is no choice of blocks; give --rec",
        ),
        ({"per_sample_results": []}, "holds latencies of single samples"),
    ],
)
def test_other_files_of_the_study_are_refused_by_what_they_hold(document: Any, phrase: str, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=phrase):
        read_evidence_file(write_json(tmp_path / "x.json", document))


def test_every_choice_of_the_study_is_still_read() -> None:
    for name in ("layer_importance_scores_full.json", "layer_importance_scores_simple.json"):
        assert len(importance(DEMO_EVIDENCE / name).scores) == 16
    for name in ("cross_dataset_analysis.json", "pruning_recommendations.json"):
        assert sets(recommended(DEMO_EVIDENCE / name))


def test_a_folder_without_files_of_the_study_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="a folder; evidence is a file of scores or of recommended blocks"):
        read_evidence_file(tmp_path)


KEYS = st.sampled_from(
    [
        "0",
        "1",
        "4",
        "16",
        "scores",
        "combination_stats",
        "(4,)",
        "removed_blocks",
        "datasets",
        "num_datasets",
        "avg_drop",
        "x",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 20) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=400, deadline=None)
@given(JSON, st.sampled_from([None, "stepwise", "robust"]))
def test_any_json_is_read_or_refused_and_never_crashes(
    tmp_path_factory: pytest.TempPathFactory, document: Any, strategy: str | None
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(document, allow_nan=False) if _finite(document) else "1e999", "utf-8")
    for read in (
        lambda: importance(path, blocks=5),
        lambda: recommended(path, strategy=strategy),
        lambda: as_any(read_evidence_file(path), Rule(strategy=strategy, min_datasets=2, protected=(0,)), blocks=5),
    ):
        try:
            read()
        except TrimoeError as error:
            assert "any.json" in str(error)


def _finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return (
        all(map(_finite, value.values() if isinstance(value, dict) else value))
        if isinstance(value, (dict, list))
        else True
    )


@pytest.mark.parametrize("document", [{"1": 0.5, "2": 0.25}, {"method": "average", "merged_scores": {"1": 0.5}}])
def test_scores_given_as_recommendations_are_told_from_them(document: dict[str, Any], tmp_path: Path) -> None:
    source = read_evidence_file(write_json(tmp_path / "scores.json", document))
    with pytest.raises(PlanError, match=r"scores\.json: holds importance scores.*give it as --importance"):
        as_recommendations(source, Rule(), blocks=4)
