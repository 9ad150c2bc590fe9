"""Importance, merge and recommendations on small cases."""

import pytest

from profiles.evidence.importance import spearman
from profiles.evidence.merging.merge import DatasetScores, full_document, merge
from profiles.evidence.recommend import cross_dataset_analysis, recommendations


def test_rank_correlation_shares_the_ranks_of_ties() -> None:
    assert spearman({0: 1, 1: 2, 2: 3}, {0: 10, 1: 30, 2: 20}) == pytest.approx(0.5)
    assert spearman({0: 1, 1: 1, 2: 3}, {0: 5, 1: 5, 2: 9}) == pytest.approx(1.0)
    assert spearman({0: 1, 1: 1}, {0: 1, 1: 2}) == 0.0


def test_importance_is_merged_six_to_four_and_then_averaged() -> None:
    one = DatasetScores(train={0: 1.0, 1: 0.0}, validation={0: 0.5, 1: 0.5})
    two = DatasetScores(train={0: 0.0, 1: 1.0}, validation={0: 0.0, 1: 1.0})
    merged = full_document(merge({"one": one, "two": two}))
    assert merged["per_dataset_scores"] == {"one": {"0": 0.8, "1": 0.2}, "two": {"0": 0.0, "1": 1.0}}
    assert merged["scores"] == {"0": 0.4, "1": 0.6}
    assert merged["ranking"] == [1, 0]


def _search(drops: dict[tuple[int, ...], float]) -> dict:
    return {
        "summary": [
            {"removed_block_indices": list(removed), "accuracy": 0.9 - drop, "accuracy_drop": drop}
            for removed, drop in drops.items()
        ]
    }


def test_recommendations_take_the_best_superset_seen_twice_that_gains_nothing() -> None:
    first = _search({(1,): 0.02, (2,): 0.01, (3,): -0.03, (1, 2): 0.04, (1, 3): 0.02, (2, 3): 0.05})
    second = _search({(1,): 0.04, (2,): 0.03, (3,): 0.01, (1, 2): 0.06, (1, 3): 0.02})
    steps = recommendations(cross_dataset_analysis({"one": first, "two": second}), blocks=4)
    assert [steps[count]["removed_blocks"] for count in ("1", "2")] == [[2], [1, 2]]
    assert steps["1"]["avg_drop"] == pytest.approx(0.02)
    assert steps["1"]["std_drop"] == pytest.approx(0.01)
    assert steps["2"]["incremental_drop"] == pytest.approx(0.03)
