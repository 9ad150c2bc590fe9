"""Importance and merge on small cases."""

import pytest

from profiles.evidence.importance import spearman
from profiles.evidence.merging.merge import DatasetScores, full_document, merge


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
