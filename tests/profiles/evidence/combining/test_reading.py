"""Results that are not as they should be: each a stated rule or an error that names file and place."""

from pathlib import Path
from typing import Any

import pytest

from profiles.errors import MeasurementError
from profiles.evidence.combining.study import read_study
from runtime.errors import DocumentError
from tests.support.study_trees import results, write_results, write_tree


def row(*blocks: int, drop: float = 0.25, accuracy: float = 0.5) -> dict[str, Any]:
    return {"step": 1, "removed_block_indices": list(blocks), "accuracy": accuracy, "accuracy_drop": drop}


def searched(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"baseline_accuracy": 0.75, "summary": list(rows), **more}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "expected an object, found a list of 0"),
        ({"summary": []}, 'the key "baseline_accuracy" is missing'),
        ({"baseline_accuracy": 75.0, "summary": []}, "75.0 is no accuracy: fractions, and CIDEr, go from 0 to 10"),
        (searched(), "summary: holds no combination"),
        (searched({"removed_block_indices": [1]}), 'summary[0]: the key "accuracy" is missing'),
        (searched(row(1, -1)), "removed_block_indices[1]: no block -1"),
        (searched(row(1, 1)), "removed_block_indices: a block is listed twice"),
        (searched(row(1, drop=0.1)), "accuracy_drop: 0.1, but the baseline 0.75 less the accuracy 0.5 is another drop"),
        (searched(row(1, drop=3.09)), "drops are fractions (0.0309 is 3.09 points)"),
        (searched(row(1), row(1, drop=0.5, accuracy=0.25)), "[1] twice, with accuracies 0.5 and 0.25"),
    ],
)
def test_results_of_another_shape_are_refused_by_file_and_place(tmp_path: Path, document: object, message: str) -> None:
    path = write_results(tmp_path, "okvqa", document)
    with pytest.raises(DocumentError) as refused:
        read_study(tmp_path)
    assert str(refused.value).startswith(str(path)) and message in str(refused.value)


def test_what_is_listed_twice_counts_once_and_is_told(tmp_path: Path) -> None:
    write_results(tmp_path, "okvqa", searched(row(1, 2), row(2, 1), row(3)))
    study = read_study(tmp_path)
    assert [one.removed for one in study.combinations] == [(1, 2), (3,)]
    assert study.combinations[0].mean == 0.25 and study.combinations[0].count == 1
    assert any("[1, 2] listed again, counted once" in note for note in study.notes)


def test_blocks_are_as_the_results_say_or_else_guessed_aloud(tmp_path: Path) -> None:
    write_results(tmp_path, "a", searched(row(5)))
    guessed = read_study(tmp_path)
    assert guessed.blocks == 6 and "taken to have 6 blocks" in guessed.notes[0]
    assert read_study(tmp_path, blocks=16).blocks == 16 and not read_study(tmp_path, blocks=16).notes
    write_results(tmp_path, "b", searched(row(1), num_total_blocks=4))
    with pytest.raises(MeasurementError, match=r"\[5\]: the model has blocks 0–3"):
        read_study(tmp_path)
    with pytest.raises(MeasurementError, match=r"several answers: 4 in .*; 16 in --blocks"):
        read_study(tmp_path, blocks=16)


def test_the_split_that_pools_the_others_counts_unless_another_is_asked_for(tmp_path: Path) -> None:
    for split, drop in (("train", 0.125), ("train+validation", 0.25), ("validation", 0.5)):
        write_results(tmp_path, "a", results([((1,), drop)]), split=split)
    assert read_study(tmp_path).combinations[0].mean == 0.25
    assert read_study(tmp_path, split="validation").combinations[0].mean == 0.5
    with pytest.raises(MeasurementError, match=r"a: no split test; it has train, train\+validation, validation"):
        read_study(tmp_path, split="test")
    (tmp_path / "a" / "train+validation" / "exp3_accuracy_sensitivity_v2_results.json").unlink()
    with pytest.raises(MeasurementError, match="a: several splits and none that pools the others"):
        read_study(tmp_path)


def test_a_folder_without_results_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match=r"no <dataset>/<split>/exp3_.*json below it$"):
        read_study(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "beam_search_step1_blocks15_removed4.json").write_text("{}")
    with pytest.raises(MeasurementError, match=r"1 files .* have no baseline: finish the search"):
        read_study(tmp_path)


def test_other_folders_beside_the_results_do_not_matter(tmp_path: Path) -> None:
    write_tree(tmp_path / "exp3", {"a": {(1,): 0.1}, "b": {(1,): 0.3}})
    (tmp_path / "exp3" / "analysis").mkdir()
    write_results(tmp_path / "exp3" / ".cache", "c", searched(row(1)))
    assert read_study(tmp_path).datasets == ("a", "b")
