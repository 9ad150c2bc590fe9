"""Choosing blocks: the study's order, the limits, and what is noted."""

from dataclasses import replace

import pytest

from exporter.evidence.evidence import ExplicitRemovals, Importance, Recommendations, RemovalSet
from exporter.evidence.files import as_importance, read_evidence_file
from exporter.plan.blocks import Selection, choose_blocks
from runtime.documents.manifest import DropRecord
from runtime.errors import PlanError
from tests.support.evidence_documents import ASSIGNED_SCORES, STUDY_SCORES


def scores(*values: float | None) -> Importance:
    found = tuple((block, value) for block, value in enumerate(values) if value is not None)
    return Importance(file="s.json", path="study/s.json", sha256="0" * 64, scores=found)


def recommendations(*sets: tuple[int, ...], datasets: tuple[str, ...] = ("a", "b")) -> Recommendations:
    drop = DropRecord(mean=0.1, std=0.0, datasets=datasets)
    steps = tuple(RemovalSet(blocks=blocks, drop=drop, place=f'["{len(blocks)}"].removed_blocks') for blocks in sets)
    return ready(*steps)


def ready(*steps: RemovalSet, barred: tuple[RemovalSet, ...] = (), kind: str = "recommendations") -> Recommendations:
    path, digest = "study/r.json", "0" * 64
    return Recommendations(
        file="r.json", path=path, sha256=digest, kind=kind, strategy="rule", steps=steps, notes=(), barred=barred
    )


def removed(selection: Selection) -> dict[int, list[int]]:
    return {removal.depth: list(removal.removed) for removal in selection.removals}


def test_scores_cover_the_studys_range_and_the_lowest_go_first() -> None:
    real = as_importance(read_evidence_file(STUDY_SCORES), blocks=16)
    selection = choose_blocks(real, blocks=16, protected=(0,), depths=None)
    assert removed(selection) == {16: [], 15: [3], 14: [3, 4], 13: [3, 4, 7], 12: [3, 4, 7, 12]}
    assert selection.notes == ("layer_importance_scores.json has no score for the last block, 15: it is kept",)


def test_the_assigned_scores_choose_other_blocks() -> None:
    real = as_importance(read_evidence_file(ASSIGNED_SCORES), blocks=16)
    assert removed(choose_blocks(real, blocks=16, protected=(0,), depths=(12,))) == {12: [2, 4, 10, 13]}


def test_block_0_and_protected_blocks_stay_whatever_their_score() -> None:
    selection = choose_blocks(scores(0.0, 0.1, 0.5, 0.3, 0.2), blocks=5, protected=(0, 1), depths=(3,))
    assert removed(selection) == {3: [3, 4]}


def test_at_a_tie_the_later_in_the_file_goes_and_it_is_noted() -> None:
    evidence = Importance(file="s.json", path="study/s.json", sha256="", scores=((3, 0.2), (1, 0.2), (2, 0.9)))
    selection = choose_blocks(evidence, blocks=4, protected=(0,), depths=(3, 2))
    assert removed(selection) == {3: [1], 2: [1, 3]}
    assert selection.notes == (
        "blocks 3: blocks 3 and 1 have the same score, 0.2; 1 goes because it is later in s.json",
    )


def test_the_default_range_stops_at_what_must_be_kept() -> None:
    assert list(removed(choose_blocks(scores(1, 2, 3), blocks=3, protected=(0, 2), depths=None))) == [3, 2]


def test_a_block_without_score_must_be_named() -> None:
    with pytest.raises(PlanError, match=r"study/s.json: no score for blocks \[1, 3\]"):
        choose_blocks(scores(1, None, 2, None, 3), blocks=5, protected=(0,), depths=None)
    assert removed(choose_blocks(scores(1, None, 2, None, 3), blocks=5, protected=(0,), depths=(5,))) == {5: []}
    assert removed(choose_blocks(scores(1, None, 2, None, 3), blocks=5, protected=(0, 1, 3), depths=(4,))) == {4: [2]}


@pytest.mark.parametrize(
    ("depths", "protected", "message"),
    [
        ((17,), (0,), r"cannot keep 17 blocks: the model has 5"),
        ((0,), (0,), r"cannot keep 0 blocks"),
        ((2,), (0, 1, 4), r"cannot reach 2 blocks: 3 are always kept \(0, 1, 4\)"),
    ],
)
def test_a_depth_out_of_reach_is_refused(depths: tuple[int, ...], protected: tuple[int, ...], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        choose_blocks(scores(1, 2, 3, 4, 5), blocks=5, protected=protected, depths=depths)


def test_recommendations_cover_the_full_depth_and_every_size() -> None:
    selection = choose_blocks(recommendations((4,), (4, 13)), blocks=16, protected=(0,), depths=None)
    assert removed(selection) == {16: [], 15: [4], 14: [4, 13]}
    assert selection.removals[0].drop is None
    assert selection.removals[1].drop is not None
    assert selection.notes == ()


def test_a_depth_the_evidence_does_not_cover_names_those_it_covers() -> None:
    with pytest.raises(
        PlanError, match=r'^study/r.json: no key "3", "4": says nothing about 13, 12 blocks; it covers 14, 15, 16$'
    ):
        choose_blocks(recommendations((4,), (4, 13)), blocks=16, protected=(0,), depths=(13, 12, 14))
    analysed = ready(*recommendations((4,)).steps, kind="cross-dataset-analysis")
    with pytest.raises(
        PlanError, match=r"^study/r.json: combination_stats: says nothing about 12 blocks; it covers 15, 16$"
    ):
        choose_blocks(analysed, blocks=16, protected=(0,), depths=(12,))


@pytest.mark.parametrize("depths", [None, (14,), (15, 14)])
def test_a_depth_whose_candidates_are_all_protected_names_the_rule_and_the_option(
    depths: tuple[int, ...] | None,
) -> None:
    barred = recommendations((0, 4)).steps
    evidence = ready(*recommendations((4,)).steps, barred=barred)
    message = (
        r'study/r.json: \["2"\].removed_blocks: no set leaves 14 blocks: each candidate of 2 removes a protected '
        r"block, "
        r"the best \[0, 4\] \(block 0 is never removed\); --blocks 15,16 asks only for what is covered"
    )
    with pytest.raises(PlanError, match=message):
        choose_blocks(evidence, blocks=16, protected=(0,), depths=depths)
    assert removed(choose_blocks(evidence, blocks=16, protected=(0,), depths=(15,))) == {15: [4]}


@pytest.mark.parametrize(
    ("protected", "message"),
    [
        ((0, 13), "block 13 is protected; --blocks 15,16 leaves it out"),
        ((0,), "block 0 is never removed; --blocks 16 leaves it out"),
    ],
)
def test_a_recommended_protected_block_is_refused(protected: tuple[int, ...], message: str) -> None:
    sets = ((4,), (4, 13)) if 13 in protected else ((0,),)
    with pytest.raises(
        PlanError, match=rf'^study/r.json: \["{len(sets)}"\].removed_blocks: recommends removing .*: {message}$'
    ):
        choose_blocks(recommendations(*sets), blocks=16, protected=protected, depths=None)


def test_one_step_on_block_0_names_the_depths_that_avoid_it() -> None:
    evidence = recommendations((4,), (0, 4), (4, 5, 13))
    with pytest.raises(PlanError, match=r"block 0 is never removed; --blocks 13,15,16 leaves it out$"):
        choose_blocks(evidence, blocks=16, protected=(0,), depths=None)
    chosen = choose_blocks(evidence, blocks=16, protected=(0,), depths=(13, 15, 16))
    assert removed(chosen) == {16: [], 15: [4], 13: [4, 5, 13]}


def test_a_depth_after_the_end_of_stepwise_says_why_it_ends() -> None:
    steps = recommendations((4,), (4, 5)).steps
    (longer,) = recommendations((4, 5, 6, 7)).steps
    evidence = replace(ready(*steps), beyond=(longer,), kind="cross-dataset-analysis")
    said = (
        "combination_stats: stepwise stops at 14 blocks, because no candidate removes 3; --strategy independent goes on"
    )
    with pytest.raises(PlanError, match=said):
        choose_blocks(evidence, blocks=16, protected=(0,), depths=(12, 14))
    with pytest.raises(PlanError, match="says nothing about 13 blocks; it covers 14, 15, 16"):
        choose_blocks(evidence, blocks=16, protected=(0,), depths=(13,))


def test_a_protected_block_matters_only_at_the_depths_asked_for() -> None:
    assert removed(choose_blocks(recommendations((4,), (4, 13)), blocks=16, protected=(0, 13), depths=(15,))) == {
        15: [4]
    }


def test_sets_that_are_not_nested_and_differing_data_sets_are_noted() -> None:
    first, second = recommendations((4,), datasets=("a", "b", "c")), recommendations((2, 10))
    notes = choose_blocks(ready(*first.steps, *second.steps), blocks=16, protected=(0,), depths=None).notes
    assert notes == (
        "the drops are averages over different data sets and cannot "
        "be compared with each other (15 blocks: 3, 14 blocks: 2)",
        "blocks 14: [2, 10] does not contain [4], so that the two share fewer bytes",
    )


def test_explicit_sets_give_exactly_themselves() -> None:
    evidence = ExplicitRemovals(sets=((4, 13), (3,), (2, 10)))
    selection = choose_blocks(evidence, blocks=16, protected=(0,), depths=None)
    assert [(r.depth, r.removed) for r in selection.removals] == [(15, (3,)), (14, (2, 10)), (14, (4, 13))]
    with_full = choose_blocks(ExplicitRemovals(sets=((4, 13),)), blocks=16, protected=(0,), depths=(14, 16))
    assert removed(with_full) == {16: [], 14: [4, 13]}


@pytest.mark.parametrize(
    ("sets", "depths", "message"),
    [
        (((16,),), None, r"cannot remove blocks \[16\]: the model has blocks 0–15"),
        (((0, 4),), None, r"cannot remove blocks \[0, 4\]: block 0 is never removed"),
        (((4, 15),), None, r"cannot remove blocks \[4, 15\]: block 15 is protected"),
        (((4,),), (14,), r"removing \[4\] leaves 15 blocks, which --blocks does not ask for"),
        (((4,),), (14, 15), r"no --remove leaves 14 blocks; the sets given cover 15, 16"),
    ],
)
def test_explicit_sets_are_checked(
    sets: tuple[tuple[int, ...], ...], depths: tuple[int, ...] | None, message: str
) -> None:
    with pytest.raises(PlanError, match=message):
        choose_blocks(ExplicitRemovals(sets=sets), blocks=16, protected=(0, 15), depths=depths)
