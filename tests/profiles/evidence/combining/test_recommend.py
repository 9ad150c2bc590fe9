"""`trimoe recommend` from a folder to tables and files, and what it says against its own recommendations."""

import json
from pathlib import Path

import pytest

from exporter.evidence.files import as_recommendations, read_evidence_file
from exporter.evidence.strategies import Rule
from tests.support.commands import trimoe
from tests.support.study_trees import study_tree, write_tree


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return study_tree(tmp_path_factory.mktemp("study"))


def test_the_studys_own_results_are_recommended_with_estimates_and_doubts(tree: Path) -> None:
    result = trimoe("recommend", tree)
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert "[4] 3.09 3.15 8" in said and "stepwise, independent, robust" in said
    assert "[2, 10]: rests on 2 data sets of 8" in said
    assert "[4, 10, 13]: rests on 2 data sets of 8; dominated by [" in said
    assert "one by one are missed by" in said
    assert "[2, 4, 10, 13]: rests on 2 data sets of 8; dominated by [2, 4, 13, 14]: 5.05 ± 2.37 points on 2" in said


def test_files_are_written_for_the_exporter(tree: Path, tmp_path: Path) -> None:
    for strategy, second in (("stepwise", [4, 13]), ("robust", [2, 12]), ("independent", [2, 10])):
        result = trimoe("recommend", tree, "--out", tmp_path, "--strategy", strategy)
        assert result.exit_code == 0, result.output
        written = json.loads((tmp_path / "pruning_recommendations.json").read_text())
        assert written["2"]["removed_blocks"] == second and list(written) == ["1", "2", "3", "4"]
    for name, rule in (
        ("pruning_recommendations.json", Rule()),
        ("cross_dataset_analysis.json", Rule(strategy="robust")),
    ):
        read = as_recommendations(read_evidence_file(tmp_path / name), rule, blocks=16)
        assert len(read.steps) == 4


def test_the_document_has_every_recommendation_with_its_interval(tree: Path) -> None:
    document = json.loads(trimoe("recommend", tree, "--json").stdout)
    assert document["chosen"]["stepwise"] == [[4], [4, 13], [4, 10, 13], [2, 4, 10, 13]]
    assert len(document["chosen"]["estimated"]) == 4
    for one in document["recommendations"]:
        assert one["estimate"]["low"] < one["estimate"]["mean"] < one["estimate"]["high"]
    assert document["left_out"]["drop_covered"] > 0.5
    chosen = [one["removed_blocks"] for one in document["recommendations"] if "pareto" in one["rules"]]
    assert [2, 4, 7] in chosen and [4, 10, 13] not in chosen


def test_protected_blocks_are_not_recommended(tmp_path: Path) -> None:
    drops = {(0,): 0.01, (1,): 0.05, (2,): 0.03, (1, 2): 0.1}
    write_tree(tmp_path, {"a": drops, "b": drops})
    chosen = json.loads(trimoe("recommend", tmp_path, "--json", "--blocks", 4).stdout)["chosen"]
    assert chosen["stepwise"][0] == [2]
    chosen = json.loads(trimoe("recommend", tmp_path, "--json", "--blocks", 4, "--protect", "2").stdout)["chosen"]
    assert chosen["stepwise"] == chosen["estimated"] == [[1]]
    result = trimoe("recommend", tmp_path, "--protect", "4", "--blocks", 4)
    assert (result.exit_code, result.stderr) == (1, "Error: cannot protect block 4: the model has blocks 0–3\n")


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    write_tree(tmp_path, {"a": {(0,): 0.1}})
    assert "no combination that removes a block which is not protected" in trimoe("recommend", tmp_path).stderr
    result = trimoe("recommend", next(tmp_path.rglob("*.json")))
    assert result.exit_code == 1 and "holds the beam search on one data set" in result.stderr
