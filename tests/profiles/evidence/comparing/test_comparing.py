"""A study's sides on results small enough to work out by hand, and on the study's own tables."""

import json
from pathlib import Path

import pytest

from profiles.errors import MeasurementError
from profiles.evidence.combining.combination import Study
from profiles.evidence.combining.study import read_study
from profiles.evidence.comparing.configurations import configurations_document
from profiles.evidence.comparing.consistency import consistencies
from profiles.evidence.comparing.pairs import correlation, pairs, pairs_document
from profiles.evidence.comparing.parts import parts
from profiles.evidence.comparing.positions import positions
from profiles.evidence.comparing.splits import compare_splits
from profiles.evidence.comparing.task_types import task_types, types_of
from tests.support.paths import STUDY
from tests.support.study_trees import results, study_tree, write_results, write_tree

SMALL = {
    "okvqa": {(1,): 0.1, (2,): 0.2, (1, 2): 0.25, (3,): 0.4},
    "doc-qa": {(1,): 0.3, (2,): 0.2, (1, 2): 0.6, (4,): 0.1},
    "mine": {(1,): 0.2, (3,): 0.1},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return read_study(write_tree(tmp_path_factory.mktemp("small"), SMALL), blocks=6)


def test_task_types_are_known_by_name_or_given(study: Study) -> None:
    assert types_of(study, {}) == {"doc-qa": "document", "mine": "other", "okvqa": "vqa"}
    assert types_of(study, {"mine": "vqa"})["mine"] == "vqa"
    with pytest.raises(MeasurementError, match="no data set 'yours': the results have doc-qa, mine, okvqa"):
        types_of(study, {"yours": "vqa"})


def test_a_type_has_the_studys_means_and_those_of_its_own_data_sets(study: Study) -> None:
    vqa, document, other = task_types(study, types_of(study, {}))
    assert (vqa.name, document.name, other.name) == ("vqa", "document", "other")
    assert vqa.overall is not None and vqa.own is not None
    assert (vqa.overall.count, vqa.own.count) == (4, 4)
    assert vqa.overall.mean == pytest.approx((0.2 + 0.2 + 0.425 + 0.25) / 4)
    assert vqa.own.mean == pytest.approx((0.1 + 0.2 + 0.25 + 0.4) / 4)
    assert document.overall is not None and document.overall.count == 3  # [4] was tried on one data set only
    own = document.by_size[2][1]
    assert own is not None and own.mean == 0.6


def test_a_combination_is_held_against_its_parts_on_the_same_data_sets(study: Study) -> None:
    (found,) = parts(study)
    assert found.datasets == ("doc-qa", "okvqa")
    assert (found.together, found.alone) == pytest.approx((0.425, 0.4))
    assert found.excess == pytest.approx(0.025)
    assert found.excess_as_studied == pytest.approx(0.425 - 0.4)


def test_thirds_of_the_model(study: Study) -> None:
    early, middle, late = positions(study)
    assert (early.blocks, middle.blocks, late.blocks) == ((0, 1), (2, 3), (4, 5))
    assert early.touching is not None and early.touching.count == 2
    assert early.inside is None and late.single is not None and late.single.mean == 0.1


def test_variation_is_spread_over_mean_least_first(study: Study) -> None:
    found = consistencies(study)
    assert [one.combination.removed for one in found] == [(2,), (1,), (1, 2), (3,)]
    assert found[0].variation == 0.0 and found[3].variation == pytest.approx(0.15 / 0.25)


def test_pairs_compare_what_both_tried(study: Study) -> None:
    document = pairs_document(pairs(study, types_of(study, {"mine": "vqa"})))
    assert list(document) == ["doc-qa_vs_mine", "doc-qa_vs_okvqa", "mine_vs_okvqa"]
    both = document["doc-qa_vs_okvqa"]
    assert (both["num_common_combinations"], both["same_task_type"]) == (3, False)
    assert both["mean_difference"] == pytest.approx((0.2 + 0.0 + 0.35) / 3)
    assert document["doc-qa_vs_mine"]["correlation"] is None and document["mine_vs_okvqa"]["same_task_type"]
    assert correlation([1, 2, 3], [2, 4, 6]) == pytest.approx(1) and correlation([1, 2, 3], [1, 1, 1]) is None


def test_configurations_keep_and_remove_every_block_once(study: Study) -> None:
    document = configurations_document(study, study.combinations[:1])
    assert document["num_active_blocks_list"] == [5, 6]
    one = document["configs"]["5"]
    assert sorted(one["active_block_indices"] + one["removed_block_indices"]) == list(range(6))
    assert [block for block, score in one["importance_scores"].items() if score == 0] == ["1"]


def test_train_and_validation_are_compared_where_both_were_measured(tmp_path: Path) -> None:
    for split, shift in (("train", 0.0), ("validation", 0.05)):
        drops = {(block,): 0.1 * block + shift for block in (1, 2, 3)}
        write_results(tmp_path, "a", results(drops.items()), split=split)
    write_results(tmp_path, "b", results([((1,), 0.1)]), split="train")
    scores = {"dataset_name": "c", "train_scores": {"0": 0.5, "1": 0.1}, "validation_scores": {"0": 0.4, "1": 0.2}}
    (tmp_path / "importance_comparison_c.json").write_text(json.dumps(scores))
    drops_of, importance = compare_splits(tmp_path)
    assert (drops_of.dataset, drops_of.what, len(drops_of.points)) == ("a", "drops", 3)
    assert drops_of.correlation == pytest.approx(1)
    assert (importance.dataset, importance.what, importance.correlation) == ("c", "importance", pytest.approx(1))


def test_the_least_drop_of_each_task_type_is_the_one_that_the_study_prints(tmp_path: Path) -> None:
    study = read_study(study_tree(tmp_path))
    found = {one.name: one.overall for one in task_types(study, types_of(study, {}))}
    printed = json.loads(STUDY.with_name("study_task_types.json").read_text("utf-8"))["task_types"]
    assert len(printed) == 6
    for one in printed:
        overall = found[one["task"]]
        assert overall is not None and round(overall.least, 4) == one["least"], one["name"]
