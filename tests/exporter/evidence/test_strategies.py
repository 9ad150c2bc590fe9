"""The strategies for a cross-data-set analysis: what each recommends, what is left out, and what is noted."""

from pathlib import Path

import pytest

from runtime.errors import PlanError
from tests.support.evidence_documents import analysis, combination, recommended, sets, write_json

TWO = {"okvqa": 0.02, "doc-qa": 0.04}
THREE = {"okvqa": 0.05, "doc-qa": 0.05, "st-qa": 0.05}


COMBINATIONS = (
    combination({"okvqa": 0.001}, 9),
    combination({"okvqa": -0.5, "doc-qa": -0.5}, 8),
    combination(TWO, 4),
    combination(TWO, 5),
    combination({"okvqa": 0.6, "doc-qa": 0.7}, 0),
    combination({"okvqa": 0.06, "doc-qa": 0.08}, 4, 13),
    combination({"okvqa": 0.01, "doc-qa": 0.03}, 2, 10),
    combination(THREE, 2, 12),
    combination({"okvqa": 0.09, "doc-qa": 0.07}, 12, 13, 14),
)


@pytest.mark.parametrize(
    ("strategy", "least", "expected"),
    [
        (None, 3, [[4], [4, 13], [12, 13, 14]]),
        ("stepwise", 3, [[4], [4, 13], [12, 13, 14]]),
        ("independent", 3, [[4], [2, 10], [12, 13, 14]]),
        ("robust", 3, [[2, 12]]),
        ("robust", 1, [[4], [2, 10], [12, 13, 14]]),
    ],
)
def test_each_strategy_recommends_by_its_rule(
    strategy: str | None, least: int, expected: list[list[int]], tmp_path: Path
) -> None:
    path = write_json(tmp_path / "cross.json", analysis(*COMBINATIONS))
    assert sets(recommended(path, strategy=strategy, min_datasets=least)) == expected


GAP = (
    combination(TWO, 4),
    combination(TWO, 4, 13),
    combination({"okvqa": 0.1, "doc-qa": 0.2}, 4, 5, 10, 13),
    combination({"okvqa": 0.1, "doc-qa": 0.1}, 1, 2, 5, 10),
    combination({"okvqa": -0.2, "doc-qa": 0.1}, 4, 10, 13),
    combination({"okvqa": 0.3}, 4, 9, 13),
    combination({"okvqa": 0.2, "doc-qa": 0.2}, 1, 4, 5, 10, 13),
)


def test_stepwise_stops_before_a_size_without_candidates_as_the_study_does(tmp_path: Path) -> None:
    found = recommended(write_json(tmp_path / "cross.json", analysis(*GAP)))
    assert sets(found) == [[4], [4, 13]]
    assert [list(step.blocks) for step in found.beyond] == [[4, 5, 10, 13], [1, 4, 5, 10, 13]]
    assert found.notes == (
        "blocks 14: stepwise stops here, as the study does: cross.json has no candidate that removes 3; the chain "
        "would go on with [4, 5, 10, 13], 15.00 ± 5.00 points (2 data sets), for 12 blocks; [1, 4, 5, 10, 13], 20.00 "
        "± 0.00 points (2 data sets), for 11 blocks",
    )


@pytest.mark.parametrize("strategy", ["independent", "robust"])
def test_other_strategies_choose_each_size_by_itself(strategy: str, tmp_path: Path) -> None:
    found = recommended(write_json(tmp_path / "cross.json", analysis(*GAP)), strategy=strategy, min_datasets=2)
    assert sets(found) == [[4], [4, 13], [1, 2, 5, 10], [1, 4, 5, 10, 13]]
    assert found.beyond == ()


def test_a_size_whose_candidates_are_all_protected_is_no_gap(tmp_path: Path) -> None:
    tried = (combination(TWO, 4), combination(TWO, 0, 4), combination(TWO, 4, 5, 13))
    found = recommended(write_json(tmp_path / "cross.json", analysis(*tried)))
    assert sets(found) == [[4], [4, 5, 13]]
    assert found.beyond == ()


def test_a_set_that_loses_less_on_as_many_data_sets_is_noted(tmp_path: Path) -> None:
    path = write_json(tmp_path / "cross.json", analysis(*COMBINATIONS))
    assert recommended(path).notes == (
        "blocks 15: [4], 3.00 ± 1.00 points (2 data sets), has the same mean drop as [5], 3.00 ± 1.00 points (2 "
        "data sets); "
        "[4] goes because it is the first of them in cross.json",
        "blocks 14: [2, 10] loses 2.00 ± 1.00 points (2 data sets), less than the chosen [4, 13], 7.00 ± 1.00 "
        "points (2 data sets)",
    )
    assert [note[:10] for note in recommended(path, strategy="independent").notes] == ["blocks 15:"]


def test_equal_drops_take_the_first_in_the_file_and_it_is_noted(tmp_path: Path) -> None:
    tied = (
        combination({"okvqa": 0.05, "doc-qa": 0.06}, 13),
        combination({"okvqa": 0.06, "doc-qa": 0.05}, 4),
        combination(TWO, 4, 13),
        combination(TWO, 4, 5),
        combination(TWO, 2, 13),
    )
    found = recommended(write_json(tmp_path / "cross.json", analysis(*tied)))
    assert sets(found) == [[13], [4, 13]]
    assert found.notes == (
        "blocks 15: [13], 5.50 ± 0.50 points (2 data sets), has the same mean drop as [4], 5.50 ± 0.50 points (2 "
        "data sets); "
        "[13] goes because it is the first of them in cross.json",
        "blocks 14: [4, 13], 3.00 ± 1.00 points (2 data sets), has the same mean drop as [2, 13], 3.00 ± 1.00 "
        "points (2 data sets); "
        "[4, 13] goes because it is the first of them in cross.json",
    )
    independent = recommended(write_json(tmp_path / "cross.json", analysis(*tied)), strategy="independent").notes[1]
    assert "the same mean drop as [4, 5], 3.00 ± 1.00 points (2 data sets), and 1 more; [4, 13] goes" in independent


def test_drops_that_differ_by_rounding_alone_are_noted_as_equal(tmp_path: Path) -> None:
    (key, stats), two = combination(THREE, 13), combination({"okvqa": 0.05, "doc-qa": 0.05}, 4)
    three = key, stats | {"avg_accuracy_drop": (0.05 + 0.05 + 0.05) / 3}
    assert three[1]["avg_accuracy_drop"] > two[1]["avg_accuracy_drop"]
    found = recommended(write_json(tmp_path / "cross.json", analysis(three, two)))
    assert sets(found) == [[4]]
    assert found.notes == (
        "blocks 15: [4], 5.00 ± 0.00 points (2 data sets), has the same mean drop as [13], 5.00 ± 0.00 points (3 "
        "data sets); "
        "[4] goes because its mean is lower in the last digits",
    )


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [("stepwise", [[5], [2, 10]]), ("independent", [[5], [2, 10]]), ("robust", [[2, 12]])],
)
def test_sets_with_protected_blocks_are_left_out_and_it_is_noted(
    strategy: str, expected: list[list[int]], tmp_path: Path
) -> None:
    path = write_json(
        tmp_path / "cross.json",
        analysis(*COMBINATIONS, combination({"okvqa": 0.01, "doc-qa": 0.01, "st-qa": 0.01}, 3, 4)),
    )
    found = recommended(path, strategy=strategy, protected=(0, 4, 14))
    assert sets(found) == expected
    assert [set_.blocks for set_ in found.barred] == ([] if strategy == "robust" else [(12, 13, 14)])
    left_out = [note for note in found.notes if "left out" in note]
    assert left_out[-1].startswith("blocks 14: 1 set is" if strategy == "robust" else "blocks 14: 2 sets are")
    assert left_out[-1].endswith("protected blocks (4); the best is [3, 4], 1.00 ± 0.00 points (3 data sets)")
    assert len(found.notes) == len(left_out)


def test_a_set_with_block_0_is_no_candidate_and_noted_only_where_it_beats_the_choice(tmp_path: Path) -> None:
    better, worse = combination({"okvqa": 0.01, "doc-qa": 0.01}, 0), combination({"okvqa": 0.06, "doc-qa": 0.08}, 0, 4)
    found = recommended(
        write_json(tmp_path / "cross.json", analysis(better, combination(TWO, 4), worse, combination(TWO, 4, 5)))
    )
    assert sets(found) == [[4], [4, 5]]
    assert found.notes == (
        "blocks 15: 1 set is left out because it removes protected blocks (0); the best is [0], 1.00 ± 0.00 points "
        "(2 data sets)",
    )


def test_an_analysis_whose_only_pair_has_block_0_still_covers_the_other_depths(tmp_path: Path) -> None:
    found = recommended(write_json(tmp_path / "cross.json", analysis(combination(TWO, 4), combination(TWO, 0, 4))))
    assert sets(found) == [[4]]
    assert [(barred.blocks, barred.place) for barred in found.barred] == [
        ((0, 4), 'combination_stats["(0, 4)"].removed_blocks')
    ]


def test_robust_without_candidates_states_the_rule(tmp_path: Path) -> None:
    path = write_json(tmp_path / "cross.json", analysis(*COMBINATIONS))
    name, found = r"strategy robust \(at least 4 data sets\)", r"finds no candidate among 9 combinations"
    with pytest.raises(
        PlanError,
        match=rf"cross.json: combination_stats: {name} {found}: .* at least 4 data "
        r"sets, and its mean drop is 0 or more$",
    ):
        recommended(path, strategy="robust", min_datasets=4)
    path = write_json(tmp_path / "cross.json", analysis(combination({"okvqa": 0.01}, 4)))
    with pytest.raises(
        PlanError,
        match="among 1 combinations: a candidate was tried on at least 2 data sets, and its mean drop is 0 or more",
    ):
        recommended(path)


def test_the_unpruned_combination_is_no_candidate(tmp_path: Path) -> None:
    path = write_json(tmp_path / "cross.json", analysis(combination(TWO), combination(TWO, 4)))
    assert sets(recommended(path)) == [[4]]


def test_captions_may_lose_more_than_1_because_cider_is_no_fraction(tmp_path: Path) -> None:
    collapsed = combination({"coco-caption": 1.31, "okvqa": 0.85}, 2, 4)
    found = recommended(write_json(tmp_path / "cross.json", analysis(combination({"coco-caption": 1.2}, 0), collapsed)))
    assert [step.drop.mean for step in found.steps] == [pytest.approx(1.08)]
