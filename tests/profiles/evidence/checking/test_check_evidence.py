"""`trimoe check-evidence`: what it finds in files that disagree, contradict themselves, or were never measured."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import trimoe
from tests.support.evidence_documents import ASSIGNED_SCORES, STUDY_SCORES, recommendation, write_json
from tests.support.families import ModelFamilies
from tests.support.paths import DEMO
from tests.support.study_trees import results, study_tree, write_results, write_tree


def checked(*arguments: object, status: int = 1) -> dict[str, Any]:
    result = trimoe("check-evidence", *arguments, "--json")
    assert result.exit_code == status, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return study_tree(tmp_path_factory.mktemp("study"))


def test_the_studys_files_disagree_and_what_that_costs_is_told(tree: Path) -> None:
    found = checked(tree, STUDY_SCORES, ASSIGNED_SCORES)
    choices = {Path(one["source"]).name: one["removed"]["4"] for one in found["choices"][1:]}
    assert choices == {STUDY_SCORES.name: [3, 4, 7, 12], ASSIGNED_SCORES.name: [2, 4, 10, 13]}
    assert found["choices"][0]["removed"]["4"] == [2, 4, 10, 13]
    assert {one["source"] for one in found["disagreements"]} == {STUDY_SCORES.name}
    first = found["disagreements"][0]
    assert (first["num_removed"], first["wanted"], first["removed"]) == (1, [4], [3])
    assert (first["wanted_measured"], first["measured"]) == pytest.approx((0.0309, 0.0369))
    assert first["estimate"][1] < first["estimate"][0] < first["estimate"][2] and 0.5 < first["sure"] < 1
    assert any(f"{ASSIGNED_SCORES.name}: every score is a whole thousandth" in one for one in found["doubts"])
    assert any(f"{STUDY_SCORES.name}: no score for blocks [0, 15]" in one for one in found["doubts"])


def test_the_text_names_the_blocks_that_differ() -> None:
    result = trimoe("check-evidence", STUDY_SCORES, ASSIGNED_SCORES, "--blocks", "16")
    assert result.exit_code == 1
    assert (
        f"4 removed: {ASSIGNED_SCORES.name} removes [2, 10, 13] where {STUDY_SCORES.name} removes [3, 7, 12]"
        in result.output
    )
    assert "never tried" not in result.output and result.output.endswith("the evidence does not agree\n")


def test_evidence_that_agrees_says_so(tree: Path, tmp_path: Path) -> None:
    assert trimoe("recommend", tree, "--out", tmp_path).exit_code == 0
    result = trimoe("check-evidence", tree, tmp_path / "pruning_recommendations.json", ASSIGNED_SCORES)
    assert result.exit_code == 0 and result.output.endswith("the evidence agrees\n"), result.output


def test_zeros_are_held_against_what_was_measured(tmp_path: Path) -> None:
    single = {(block,): 0.05 * block for block in range(1, 5)}
    write_tree(tmp_path / "tree", {"a": single, "b": single})
    scores = write_json(
        tmp_path / "scores.json", {str(block): 0.05 * block for block in range(1, 4)} | {"4": 0.0, "5": 0.0}
    )
    doubts = checked(tmp_path / "tree", scores, "--blocks", 6)["doubts"]
    assert any('zeros that mean "not measured" or "remove"' in one and "4: 20.00" in one for one in doubts)
    assert any("blocks [5] have the score 0 and no measurement here says so" in one for one in doubts)


def test_searches_in_which_nothing_was_removed_are_named(tmp_path: Path) -> None:
    write_tree(tmp_path, {"a": {(1,): 0.0, (2,): 0.0}, "b": {(1,): 0.1, (2,): 0.0}})
    (said,) = checked(tmp_path)["contradictions"]
    assert "all 2 combinations keep exactly the accuracy of the whole model" in said and "/a/" in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"active_block_indices": [0, 1, 2]}, "active [0, 1, 2] and removed [2] are not the 4 blocks, each once"),
        ({"num_active_blocks": 2}, "num_active_blocks is 2, 3 are listed: what really ran is not clear"),
        ({"removed_block_indices": [1], "active_block_indices": [0, 2, 3]}, "the name says 2, removed were [1]"),
        ({"accuracy": 0.25}, "accuracy 0.25, the results of the search say 0.5"),
    ],
)
def test_configurations_that_contradict_themselves_are_named(
    tmp_path: Path, change: Mapping[str, Any], message: str
) -> None:
    path = write_results(tmp_path, "a", results([((1,), 0.5), ((2,), 0.25)]) | {"num_total_blocks": 4})
    document = {"step": 1, "num_active_blocks": 3, "num_total_blocks": 4, "active_block_indices": [0, 1, 3]}
    document |= {"removed_block_indices": [2], "accuracy": 0.5}
    write_json(path.parent / "beam_search_step1_blocks3_removed2.json", document)
    assert not checked(tmp_path, status=0)["contradictions"]
    write_json(path.parent / "beam_search_step1_blocks3_removed2.json", document | dict(change))
    assert any(message in one for one in checked(tmp_path)["contradictions"])


def test_sensitivities_are_held_against_searches_of_the_same_split(tmp_path: Path) -> None:
    path = write_results(tmp_path, "a", results([((1,), 0.5)]) | {"num_total_blocks": 4})
    sensitivity = {"block_idx": 1, "baseline_accuracy": 0.75, "ablated_accuracy": 0.5, "importance_score": 0.25}
    sensitivity |= {"num_samples": 10, "dataset_name": "a", "split": "train+validation"}
    write_json(path.parent / "sensitivity_block_1.json", sensitivity)
    assert "block 1 loses 0.25, in the search on the same samples 0.5" in checked(tmp_path)["contradictions"][0]


def test_a_family_is_held_against_what_is_recommended(model_family: ModelFamilies, tmp_path: Path) -> None:
    _, folder = model_family("mixtral")
    removed = next(
        one["removed"]
        for one in json.loads((folder / "manifest.json").read_text())["variants"]
        if len(one["removed"]) == 1
    )
    other = next(block for block in (1, 2) if [block] != removed)
    right = write_json(tmp_path / "right.json", {"1": recommendation(*removed)})
    wrong = write_json(tmp_path / "wrong.json", {"1": recommendation(other)})
    assert not checked(right, "--family", folder, status=0)["disagreements"]
    (found,) = checked(wrong, "--family", folder)["disagreements"]
    assert (found["source"], found["removed"], found["wanted"]) == ("the family", removed, [other])


def test_the_demos_evidence_is_read_whole(tmp_path: Path) -> None:
    evidence = DEMO / "evidence"
    found = checked(
        evidence, evidence / "pruning_recommendations.json", evidence / "layer_importance_scores_simple.json"
    )
    assert not found["contradictions"]
    assert [one["removed"] for one in found["disagreements"]] == [[2, 15], [2, 10, 15], [2, 10, 14, 15]]


def test_what_cannot_be_compared_is_refused(tree: Path, tmp_path: Path) -> None:
    assert trimoe("check-evidence").exit_code == 2
    assert "is not known: give --blocks, or --family" in trimoe("check-evidence", STUDY_SCORES).stderr
    assert "both hold searches: give one of them" in trimoe("check-evidence", tree, DEMO / "evidence").stderr
    assert "holds no evidence" in trimoe("check-evidence", tmp_path, "--blocks", 4).stderr
