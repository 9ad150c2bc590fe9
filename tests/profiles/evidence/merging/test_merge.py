"""Merging by the study's rules, against a plain account of them, and what its script passed over."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from profiles.errors import MeasurementError
from profiles.evidence.importance import sensitivity
from profiles.evidence.merging.merge import DatasetScores, merge, parse_weights
from profiles.evidence.merging.study_tree import read_tree
from runtime.errors import DocumentError
from tests.support.commands import trimoe

NAMES = ("okvqa", "coco-2014-vqa", "text-vqa", "st-qa", "doc-qa", "tally-qa", "science-qa-img", "coco-caption")


def _write(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")


def _random_tree(folder: Path, rng: random.Random, *, blocks: int = 16) -> dict[str, dict[str, dict[int, float]]]:
    """Comparisons of two to eight data sets, half of the trees with many ties; what each holds."""
    coarse = rng.random() < 0.5
    found: dict[str, dict[str, dict[int, float]]] = {}
    for name in rng.sample(NAMES, rng.randint(1, len(NAMES))):
        found[name] = {
            split: {
                block: rng.randint(-2, 3) / 4 if coarse else rng.gauss(0.05, 0.1)
                for block in rng.sample(range(blocks), blocks)
            }
            for split in ("train", "validation")
        }
        document = {f"{split}_scores": {str(b): v for b, v in part.items()} for split, part in found[name].items()}
        _write(
            folder / name / f"importance_comparison_{name}.json",
            {"dataset_name": name, **document, "spearman_correlation": 0.0},
        )
    return found


def _study_merge(
    tree: dict[str, dict[str, dict[int, float]]], method: str, weights: list[float]
) -> tuple[dict[int, float], list[int]]:
    """The study's rules, in numpy as its script has them: scores, and the blocks from the least important on."""
    names = sorted(tree)
    merged: dict[int, float] = {}
    for block in range(16):
        values = [0.6 * tree[name]["train"][block] + 0.4 * tree[name]["validation"][block] for name in names]
        if method == "average":
            merged[block] = float(np.mean(values))
        elif method == "median":
            merged[block] = float(np.median(values))
        else:
            shares = np.array(weights) / np.sum(weights)
            merged[block] = float(np.sum(np.array(values) * shares))
    rounded = {block: round(value, 12) for block, value in merged.items()}  # so that sums in another order tie alike
    return merged, [block for block, _ in sorted(rounded.items(), key=lambda item: item[1])]


@pytest.mark.parametrize("method", ["average", "weighted_avg", "median"])
def test_merging_equals_the_studys_on_random_trees(method: str, tmp_path: Path) -> None:
    rng = random.Random(method)
    for number in range(150):
        tree = _random_tree(tmp_path / str(number), rng)
        weights = [rng.uniform(0.1, 3) for _ in tree]
        text = ",".join(map(repr, weights))
        chosen = parse_weights(text, list(tree)) if method == "weighted_avg" else None
        found = merge(read_tree(tmp_path / str(number)), method=method, weights=chosen)
        scores, ranking = _study_merge(tree, method, weights)
        assert list(found.scores) == list(scores)
        np.testing.assert_allclose(list(found.scores.values()), list(scores.values()), rtol=0, atol=1e-12)
        assert list(reversed(found.ranking)) == ranking
        assert (list(found.least), list(found.most)) == (ranking[:5], ranking[:-6:-1])


def test_ties_keep_the_order_of_the_blocks(tmp_path: Path) -> None:
    same = dict.fromkeys(range(16), 0.25)
    found = merge({"one": DatasetScores(train=same, validation=same)})
    assert found.least == (0, 1, 2, 3, 4)
    assert found.most == (15, 14, 13, 12, 11)


def test_correlations_and_warnings_name_what_disagrees() -> None:
    up, down = {b: float(b) for b in range(8)}, {b: -float(b) for b in range(8)}
    found = merge(
        {
            "one": DatasetScores(train=up, validation=up),
            "two": DatasetScores(train=up, validation=up),
            "odd": DatasetScores(train=down, validation=down),
        }
    )
    assert found.split_correlations == {"one": 1.0, "two": 1.0, "odd": 1.0}
    assert found.dataset_correlations == {("one", "two"): 1.0, ("one", "odd"): -1.0, ("two", "odd"): -1.0}
    assert "odd: disagrees with the other data sets, rank correlation with their mean -1.00" in found.warnings
    assert merge({"one": DatasetScores(train=up, validation=down)}).warnings == (
        "one: train and validation rank the blocks differently, rank correlation -1.00",
    )


def _write_sensitivities(folder: Path, name: str, split: str, scores: dict[int, float], **more: Any) -> None:
    for block, score in scores.items():
        document = sensitivity(block, baseline=0.75, ablated=0.75 - score, samples=9, dataset=name, split=split)
        _write(folder / name / split / f"sensitivity_block_{block}.json", document | more)


def test_sensitivities_of_single_blocks_are_read_where_there_is_no_comparison(tmp_path: Path) -> None:
    _write_sensitivities(tmp_path, "okvqa", "train", {0: 0.5, 1: 0.25})
    _write_sensitivities(tmp_path, "okvqa", "validation", {0: 0.25, 1: 0.0})
    _write_sensitivities(tmp_path, "tally-qa", "train", {0: 0.5, 1: 0.0})
    _write_sensitivities(tmp_path, "tally-qa", "test", {0: 0.5, 1: 0.5})
    _write_sensitivities(tmp_path, "mine", "train", {0: 0.125, 1: 0.25})
    found = read_tree(tmp_path)
    assert found["okvqa"].merged == pytest.approx({0: 0.4, 1: 0.15})
    assert found["tally-qa"].merged == pytest.approx({0: 0.5, 1: 0.2})
    assert found["mine"].merged == {0: 0.125, 1: 0.25}


def test_what_the_study_passed_over_is_refused(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    with pytest.raises(MeasurementError, match="not a folder"):
        read_tree(tree)
    tree.mkdir()
    with pytest.raises(MeasurementError, match="no importance in it"):
        read_tree(tree)
    scores = {str(block): 0.5 for block in range(16)}
    comparison = {"dataset_name": "okvqa", "train_scores": scores, "validation_scores": scores}
    path = tree / "okvqa" / "importance_comparison_okvqa.json"
    _write(path, comparison | {"validation_scores": {k: v for k, v in scores.items() if k != "7"}})
    with pytest.raises(MeasurementError, match=r"have not the same blocks: only one of them has \[7\]"):
        read_tree(tree)
    _write(path, comparison | {"dataset_name": "doc-qa"})
    with pytest.raises(DocumentError, match="dataset_name: 'doc-qa', in the folder of okvqa"):
        read_tree(tree)
    _write(path, comparison | {"train_scores": scores | {"x": 1.0}})
    with pytest.raises(DocumentError, match="train_scores"):
        read_tree(tree)
    _write(path, comparison)
    _write_sensitivities(tree, "mine", "train", {0: 0.5, 1: 0.25})
    with pytest.raises(MeasurementError, match="mine and okvqa have not the same blocks"):
        read_tree(tree)


def test_sensitivities_that_were_not_measured_together_are_refused(tmp_path: Path) -> None:
    _write_sensitivities(tmp_path, "mine", "train", {0: 0.5, 1: 0.25})
    other = sensitivity(1, baseline=0.5, ablated=0.25, samples=9, dataset="mine", split="train")
    _write(tmp_path / "mine" / "train" / "sensitivity_block_1.json", other)
    with pytest.raises(MeasurementError, match=r"baseline_accuracy 0\.5, but block 0 has 0\.75"):
        read_tree(tmp_path)
    _write(tmp_path / "mine" / "train" / "sensitivity_block_1.json", other | {"importance_score": 0.5})
    with pytest.raises(
        DocumentError, match=r"importance_score: 0\.5, but baseline_accuracy - ablated_accuracy is 0\.25"
    ):
        read_tree(tmp_path)
    _write_sensitivities(tmp_path, "mine", "train", {1: 0.25})
    _write_sensitivities(tmp_path, "text", "train", {0: 0.5, 1: 0.25}, metric="log-likelihood/token")
    with pytest.raises(MeasurementError, match="cannot be averaged: mine accuracy, text log-likelihood/token"):
        read_tree(tmp_path)
    _write_sensitivities(tmp_path, "text", "dev", {0: 0.5, 1: 0.25}, metric="log-likelihood/token")
    with pytest.raises(MeasurementError, match="has the splits dev, train; two are merged"):
        read_tree(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.5", "1 weights, '0.5', for 2 data sets: give one for each of a, b"),
        ("0.5,0.5,0.1", "3 weights"),
        ("a=1,c=2", "2 weights, 'a=1,c=2', for 2 data sets"),
        ("a=1,2", "name every weight, or none"),
        ("a=1,b=0", "the weight '0' is not a positive number"),
        ("a=1,b=x", "the weight 'x' is no number"),
    ],
)
def test_weights_that_do_not_fit_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_weights(text, ["b", "a"])
    assert parse_weights("1,2", ["b", "a"]) == {"b": 2.0, "a": 1.0}


def test_the_command_writes_both_files_and_says_what_disagrees(tmp_path: Path) -> None:
    rng = random.Random(3)
    _random_tree(tmp_path / "tree", rng)
    out = tmp_path / "scores.json"
    result = trimoe("merge", tmp_path / "tree", "--out", out)
    assert result.exit_code == 0, result.output
    full = json.loads(out.read_text("utf-8"))
    assert json.loads((tmp_path / "scores_simple.json").read_text("utf-8")) == full["scores"]
    assert full["method"] == "average"
    assert f"least important: {', '.join(map(str, full['least_important']))}" in result.output
    assert trimoe("merge", tmp_path / "tree", "--method", "weighted_avg", "--out", out).exit_code == 2
    assert trimoe("merge", tmp_path, "--out", out).exit_code == 1
