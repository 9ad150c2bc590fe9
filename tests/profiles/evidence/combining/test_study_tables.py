"""The tables of the study's own documents, entered as results, come out again."""

import pytest

from exporter.evidence.evidence import INDEPENDENT, ROBUST, STEPWISE
from profiles.accuracy.study_drops import StudyDrop
from profiles.evidence.combining.combination import Combination, Study
from profiles.evidence.combining.recommend import recommendations_document
from profiles.evidence.combining.rules import best, candidates, chosen_by
from profiles.evidence.combining.study import read_study
from tests.support.study_trees import study_drops, study_tree

PROTECTED = (0,)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return read_study(study_tree(tmp_path_factory.mktemp("study")))


def as_printed(one: Combination | StudyDrop) -> tuple[tuple[int, ...], str, str, int]:
    return one.removed, f"{100 * one.mean:.2f}", f"{100 * (one.std or 0):.2f}", one.count


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_the_best_five_of_each_size_are_those_printed(study: Study, size: int) -> None:
    printed = [one for one in study_drops().drops if "independent best, top 5" in one.places]
    wanted = [as_printed(one) for one in printed if len(one.removed) == size]
    assert [as_printed(one) for one in best(candidates(study, size, protected=PROTECTED))] == wanted


def test_mean_accuracies_are_those_printed(study: Study) -> None:
    found = {one.removed: one.accuracy for one in study.combinations}
    printed = {one.removed: one.accuracy for one in study_drops().drops if one.accuracy is not None}
    assert {removed: round(found[removed], 4) for removed in printed} == printed and len(printed) == 4


def test_the_steps_and_their_increments_are_those_printed(study: Study) -> None:
    chosen = chosen_by(study, STEPWISE, protected=PROTECTED, min_datasets=3)
    printed = [one for one in study_drops().drops if "stepwise" in one.places]
    assert [as_printed(one) for one in chosen] == [as_printed(one) for one in printed]
    steps = recommendations_document(chosen).values()
    increments = [f"{100 * step['incremental_drop']:.2f}" for step in steps if "incremental_drop" in step]
    assert increments == ["2.32", "2.12", "10.83"]


def test_one_each_is_independently_best_and_the_sturdier_choices_are_those_printed(study: Study) -> None:
    independent = chosen_by(study, INDEPENDENT, protected=PROTECTED, min_datasets=3)
    assert [one.removed for one in independent] == [(4,), (2, 10), (12, 13, 14), (2, 4, 13, 14)]
    robust = chosen_by(study, ROBUST, protected=PROTECTED, min_datasets=3)
    assert [one.removed for one in robust] == [(4,), (2, 12), (2, 4, 7), (3, 4, 13, 14)]


def test_block_0_costs_what_is_printed_and_is_never_recommended(study: Study) -> None:
    assert next(as_printed(one)[1] for one in study.combinations if one.removed == (0,)) == "62.70"
    assert all(0 not in one.removed for one in candidates(study, 1, protected=PROTECTED))
