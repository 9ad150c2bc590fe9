"""Search, importance and merge on small cases."""

import pytest

from profiles.evidence.beam_search import Subject, beam_search, search_results
from profiles.evidence.importance import spearman
from profiles.evidence.merging.merge import DatasetScores, full_document, merge


def test_a_beam_search_grows_the_best_sets_and_spares_block_0() -> None:
    losses = {1: 0.4, 2: 0.1, 3: 0.2, 4: 0.3}
    steps = beam_search(lambda removed: 1 - sum(losses[block] for block in removed), blocks=5, width=2, most_removed=2)
    assert [step.removed for step in steps] == [(1,), (2,), (3,), (4,), (1, 2), (1, 3), (2, 3), (2, 4), (3, 4)]
    assert [step.step for step in steps] == [1] * 4 + [2] * 5


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


def test_search_results_name_their_subject_and_the_drop_of_every_configuration() -> None:
    subject = Subject(dataset="one", split="train", samples=10, metric="em/molmo")
    found = search_results(lambda removed: 0.75 - 0.25 * len(removed), subject, blocks=3, width=1, most_removed=1)
    assert (found["dataset_name"], found["split"], found["num_samples"], found["metric"]) == (
        "one",
        "train",
        10,
        "em/molmo",
    )
    assert found["baseline_accuracy"] == 0.75
    assert found["summary"] == [
        {"step": 1, "removed_block_indices": [block], "accuracy": 0.5, "accuracy_drop": 0.25} for block in (1, 2)
    ]
