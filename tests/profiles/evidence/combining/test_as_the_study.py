"""Statistics and recommendations on random results in the study's layout, against its rules written down plainly."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.evidence.evidence import INDEPENDENT, ROBUST, STEPWISE
from profiles.evidence.combining.analysis import ANALYSIS_FILE, analysis_document
from profiles.evidence.combining.recommend import recommendations_document
from profiles.evidence.combining.rules import best, candidates, chosen_by
from profiles.evidence.combining.study import read_study
from tests.support.study_trees import random_drops, write_tree

TREES = 300


def plain_statistics(folder: Path) -> dict[str, dict[str, Any]]:
    """The study's cross-data-set analysis: every combination of every file, in the order of the files."""
    seen: dict[tuple[int, ...], list[tuple[str, float, float]]] = {}
    for path in sorted(folder.glob("*/*/exp3_accuracy_sensitivity_v2_results.json")):
        for row in json.loads(path.read_text())["summary"]:
            key = tuple(sorted(row["removed_block_indices"]))
            seen.setdefault(key, []).append((path.parts[-3], row["accuracy_drop"], row["accuracy"]))
    return {
        str(key): {
            "removed_blocks": list(key),
            "num_removed": len(key),
            "avg_accuracy_drop": float(np.mean([drop for _, drop, _ in rows])),
            "std_accuracy_drop": float(np.std([drop for _, drop, _ in rows])),
            "avg_accuracy": float(np.mean([accuracy for _, _, accuracy in rows])),
            "num_datasets_tested": len({name for name, _, _ in rows}),
            "accuracy_drops_by_dataset": {name: drop for name, drop, _ in rows},
        }
        for key, rows in seen.items()
    }


def plain_choices(statistics: dict[str, dict[str, Any]], least: int) -> dict[int, list[dict[str, Any]]]:
    """The candidates of each size, the least mean drop first, ties as they came."""
    sized: dict[int, list[dict[str, Any]]] = {}
    for one in statistics.values():
        if one["num_datasets_tested"] >= least and one["avg_accuracy_drop"] >= 0:
            sized.setdefault(one["num_removed"], []).append(one)
    return {size: sorted(found, key=lambda one: one["avg_accuracy_drop"]) for size, found in sorted(sized.items())}


def plain_stepwise(choices: dict[int, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Step n takes the best superset of step n−1, or the best of that size; it ends where a size has no candidate."""
    steps: list[dict[str, Any]] = []
    size = min(choices, default=0)
    while size in choices:
        pool = choices[size]
        if steps:
            before = set(steps[-1]["removed_blocks"])
            pool = [one for one in pool if before < set(one["removed_blocks"])] or pool
        steps.append(pool[0])
        size += 1
    return steps


def agree(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one["removed_blocks"] == other["removed_blocks"]
    assert one["num_datasets_tested"] == other["num_datasets_tested"]
    assert one["accuracy_drops_by_dataset"] == other["accuracy_drops_by_dataset"]
    for key in ("avg_accuracy_drop", "std_accuracy_drop", "avg_accuracy"):
        assert abs(one[key] - other[key]) <= 1e-12


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("trees")
    return [write_tree(folder / str(seed), random_drops(random.Random(seed))) for seed in range(TREES)]


def test_statistics_of_random_results_are_the_studys(trees: list[Path]) -> None:
    for tree in trees:
        ours, plain = analysis_document(read_study(tree))["combination_stats"], plain_statistics(tree)
        assert list(ours) == list(plain)
        for name, one in plain.items():
            agree(ours[name], one)


def test_choices_on_random_results_are_the_studys_ties_included(trees: list[Path]) -> None:
    tied = 0
    for tree in trees:
        study, plain = read_study(tree), plain_statistics(tree)
        for least, rule in ((2, INDEPENDENT), (3, ROBUST)):
            wanted = [found[0]["removed_blocks"] for found in plain_choices(plain, least).values()]
            chosen = chosen_by(study, rule, protected=(), min_datasets=least)
            assert [list(one.removed) for one in chosen] == wanted
        for size, found in plain_choices(plain, 2).items():
            five = [list(one.removed) for one in best(candidates(study, size, protected=()))]
            assert five == [one["removed_blocks"] for one in found[:5]]
            tied += len({one["avg_accuracy_drop"] for one in found[:5]}) < len(found[:5])
        steps = plain_stepwise(plain_choices(plain, 2))
        ours = recommendations_document(chosen_by(study, STEPWISE, protected=(), min_datasets=3))
        assert [one["removed_blocks"] for one in ours.values()] == [one["removed_blocks"] for one in steps]
        for number, (one, step) in enumerate(zip(ours.values(), steps, strict=True)):
            assert abs(one["avg_drop"] - step["avg_accuracy_drop"]) <= 1e-12
            if number:
                rise = step["avg_accuracy_drop"] - steps[number - 1]["avg_accuracy_drop"]
                assert abs(one["incremental_drop"] - rise) <= 1e-12
    assert tied > TREES / 10


def test_an_analysis_gives_what_its_results_give(trees: list[Path], tmp_path: Path) -> None:
    for tree in trees[:30]:
        study = read_study(tree)
        (tmp_path / ANALYSIS_FILE).write_text(json.dumps(analysis_document(study)))
        again = read_study(tmp_path / ANALYSIS_FILE)
        assert again.combinations == study.combinations
        assert set(again.datasets) == {name for one in study.combinations for name in one.drops}
