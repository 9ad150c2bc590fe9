"""The document of the study's drops: what it says, and what is refused with its place."""

import json
from pathlib import Path

import pytest

from profiles.accuracy.study_drops import read_study_drops
from runtime.errors import DocumentError
from tests.support.json_edits import write_changed
from tests.support.paths import STUDY

TASK_TYPES = STUDY.with_name("study_task_types.json")


def test_the_studys_drops_are_those_of_its_document() -> None:
    study = read_study_drops(STUDY)
    drops = {drop.removed: drop for drop in study.drops}
    assert (study.architecture, study.blocks, study.parameters) == ("molmoe", 16, 7_221_875_712)
    assert len(drops) == len(study.drops) == 23
    assert (drops[4,].mean, drops[4,].std, drops[4,].count, drops[4,].accuracy) == (0.0309, 0.0315, 8, 0.7261)
    assert (drops[2, 4, 10, 13].mean, drops[2, 4, 10, 13].std, drops[2, 4, 10, 13].count) == (0.1836, 0.1890, 2)
    assert drops[2, 10].datasets == ("coco-2014-vqa", "coco-caption") and drops[2, 12].datasets is None
    assert study.metrics["st-qa"] == "ansl_em"
    types = json.loads(TASK_TYPES.read_text())["task_types"]
    assert {one["task"] for one in types} == {
        "vqa",
        "captioning",
        "counting",
        "multiple choice",
        "document",
        "scene text",
    }
    assert next(one for one in types if one["task"] == "vqa")["mean"] == 0.1558


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("format",), "trimoe.baseline", "format: expected 'trimoe.study-drops'"),
        (("version",), 9, "version: this trimoe reads version 1"),
        (("more",), 1, 'the key "more" is unknown'),
        (("metrics", "okvqa"), 1, "metrics.okvqa: expected a string, found the number 1"),
        (("drops", 1, "count"), 8.0, r"drops\[1\].count: expected an integer, found the number 8.0"),
        (("parameters",), 0, "parameters: 0 is below the least allowed, 1"),
        (("drops", 1, "mean"), 3.09, r"drops\[1\].mean: 3.09 is above the greatest allowed, 1"),
        (("drops", 1, "removed"), [16], r"drops\[1\].removed\[0\]: 16 is above the greatest allowed, 15"),
        (("drops", 6, "removed"), [10, 2], r"drops\[6\].removed: expected distinct blocks in ascending order"),
        (("drops", 6, "datasets"), ["okvqa"], r"drops\[6\].datasets: 1 names for 2 data sets"),
    ],
)
def test_wrong_study_documents_are_named_with_their_place(
    tmp_path: Path, place: tuple, value: object, message: str
) -> None:
    path = write_changed(STUDY.read_text(), place, value, tmp_path / "study.json")
    with pytest.raises(DocumentError, match=message):
        read_study_drops(path)
