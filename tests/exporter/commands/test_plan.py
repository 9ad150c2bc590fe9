"""`trimoe plan` as a user sees it: the table, the notes, the JSON document, and the options."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from runtime.text.sizes import show_bytes, show_count
from tests.support.commands import trimoe
from tests.support.evidence_documents import (
    ASSIGNED_SCORES,
    STUDY_SCORES,
    analysis,
    combination,
    recommendation,
    write_json,
)
from tests.support.tiny_checkpoints import write_checkpoint


def plan(*arguments: object) -> Result:
    return trimoe("plan", *arguments)


def shown(*arguments: object) -> str:
    result = plan(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("model") / "olmoe", blocks=16, experts=8, top_k=4, shards=2)


def test_the_table_shows_each_variant_and_what_the_family_shares(model: Path, tmp_path: Path) -> None:
    document = {"1": recommendation(4, drop=0.0309, std=0.0315), "2": recommendation(4, 13, drop=0.0541, std=0.0443)}
    output = shown(model, "--recommendations", write_json(tmp_path / "r.json", document), "--top-k", "4,2")
    rows = [line.split() for line in output.splitlines()[1:7]]
    assert [row[0] for row in rows] == ["b16-k4", "b16-k2", "b15-k4", "b15-k2", "b14-k4", "b14-k2"]
    assert rows[4][1:7] == ["4", "13", "5.41", "±", "4.43", "(2)"]
    assert re.search(r"6 variants of olmoe in \d+ weight files: [0-9.]+ kB on disk, [0-9.]+ MB if kept apart\.", output)
    assert "Blocks chosen from r.json (recommendations); never removed: 0." in output


@pytest.mark.parametrize("width", [None, 200, 80, 60])
def test_notes_and_totals_fit_the_terminal_and_are_whole_without_one(
    width: int | None, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.commands.plan.terminal_width", lambda stream: width)
    output = shown(model, "--importance", STUDY_SCORES, "--also", ASSIGNED_SCORES, "--top-k", "4,2")
    lines = output.splitlines()
    assert all(len(line) <= (width or 1000) for line in lines)
    assert sum(line.startswith("note: ") for line in lines) == 2
    if width is None:
        assert [line[:6] for line in lines[-2:]] == ["note: "] * 2


def test_a_second_file_that_disagrees_is_shown_at_each_depth(model: Path) -> None:
    output = shown(model, "--importance", STUDY_SCORES, "--also", ASSIGNED_SCORES, "--blocks", "12-14")
    text = " ".join(output.split())
    assert (
        "blocks 12: layer_importance_scores.json removes [3, 4, 7, 12], "
        "layer_importance_scores_exp3_recommended.json removes [2, 4, 10, 13]"
    ) in text
    assert "no score for the last block, 15: it is kept" in text


def test_strategies_apply_to_an_analysis(model: Path, tmp_path: Path) -> None:
    two, three = {"a": 0.05, "b": 0.07}, {"a": 0.1, "b": 0.1, "c": 0.1}
    path = write_json(tmp_path / "cross.json", analysis(combination(two, 4), combination(three, 5)))
    assert " 4 " in shown(model, "--recommendations", path)
    robust = shown(model, "--recommendations", path, "--strategy", "robust")
    assert " 5 " in robust
    assert (
        "Blocks chosen from cross.json (cross-dataset-analysis, robust (at least 3 data sets)); never removed: 0."
        in " ".join(robust.split())
    )
    assert " 4 " in shown(model, "--recommendations", path, "--strategy", "robust", "--min-datasets", 2)
    assert "cross.json" in shown(model, "--importance", STUDY_SCORES, "--also", path, "--strategy", "independent")


@pytest.mark.parametrize("strategy", ["stepwise", "independent", "robust"])
def test_a_strategy_takes_the_best_set_that_no_protected_block_bars(model: Path, tmp_path: Path, strategy: str) -> None:
    three, more = {"a": 0.05, "b": 0.05, "c": 0.05}, {"a": 0.1, "b": 0.1, "c": 0.1}
    path = write_json(tmp_path / "cross.json", analysis(combination(three, 15), combination(more, 5)))
    output = " ".join(shown(model, "--recommendations", path, "--strategy", strategy, "--protect", "15").split())
    assert "b15-k4 5 10.00 ± 0.00 (3)" in output
    assert (
        "blocks 15: 1 set is left out because it removes protected blocks (15); the best is [15], 5.00 ± 0.00 "
        "points (3 data sets)"
    ) in output
    compared = " ".join(shown(model, "--remove", "4", "--also", path, "--protect", "15").split())
    assert "blocks 15: --remove removes [4], cross.json removes [5]" in compared


def test_the_json_document_holds_everything_for_programs(model: Path) -> None:
    result = plan(
        model,
        "--remove",
        "4,13",
        "--remove",
        "2,10",
        "--top-k-list",
        ",".join(["4", "1", *["2"] * 14]),
        "--protect",
        "15",
        "--json",
    )
    assert result.exit_code == 0
    document = json.loads(result.output)
    assert (document["format"], document["version"]) == ("trimoe.plan", 1)
    assert (document["source"]["family"], document["source"]["blocks"]) == ("olmoe", 16)
    assert [variant["id"] for variant in document["variants"]] == ["b14-kmix-r2.10-9d5105d5", "b14-kmix-r4.13-9d5105d5"]
    variant = document["variants"][0]
    assert variant["layers"] == [0, 1, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15]
    assert variant["top_k"] == [4, 1, *[2] * 12]
    assert variant["model_type"] == "trimoe_olmoe"
    assert document["choice"]["protected"] == [0, 15]
    assert document["bytes"] == sum(shard["bytes"] for shard in document["shards"])
    assert document["bytes_apart"] == sum(each["bytes"] for each in document["variants"])


@pytest.mark.parametrize("width", [60, 80, 200])
def test_long_ids_and_lists_of_removed_blocks_stay_inside_the_terminal(
    width: int, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = ["--remove", "1-13", "--remove", "2-14"]
    monkeypatch.setattr("exporter.commands.plan.terminal_width", lambda stream: width)
    output = shown(model, *sets, "--top-k-list", ",".join(["4", "1", *["2"] * 14]))
    assert all(len(line) <= width for line in output.splitlines())
    assert "b3-kmix-r1.2.3.4.5.6.7.8.9.10.11.12.13-9d5105d5" in output
    assert "2 3 4 5 6 7 8 9 10 11 12 13 14" in " ".join(output.split())


def test_the_plan_writes_nothing(model: Path, tmp_path: Path) -> None:
    before = sorted(path.name for path in model.iterdir())
    shown(model, "--remove", "4")
    assert sorted(path.name for path in model.iterdir()) == before
    assert list(tmp_path.iterdir()) == []


CONTRADICTIONS: list[tuple[list[Any], str]] = [
    ([], "give exactly one of --recommendations, --importance and --remove"),
    (["--importance", STUDY_SCORES, "--remove", "4"], "found --importance and --remove"),
    (["--remove", "4", "--top-k", "2", "--top-k-list", "4,2"], "--top-k and --top-k-list cannot both be given"),
    (["--remove", "4", "--min-datasets", "3"], "--min-datasets applies to --strategy robust only"),
    (["--remove", "4,13", "--remove", "13,4"], "--remove 4,13 is given twice"),
    (["--remove", "4,4"], "4 is given twice in '4,4'"),
    (["--remove", ""], "the list is empty; write 12-16 or 12,14"),
    (["--remove", "4,,13"], "a number is missing beside a comma in '4,,13'; write 12-16 or 12,14"),
    (["--remove", "4,-1"], "-1 in '4,-1' is negative: the least number is 0; write 12-16 or 12,14"),
    (["--remove", "9" * 30], f"{'9' * 30} is too large: the greatest number is 9999999"),
    (
        ["--remove", "4", "--blocks", f"12-{'0' * 5000}{'9' * 5000}"],
        f"{'9' * 37}... is too large: the greatest number is 9999999",
    ),
    (["--remove", "4", "--blocks", "--"], "'--' in '--' is not a number; write 12-16 or 12,14"),
    (["--remove", "4;13"], "'4;13' in '4;13' is not a number; write 12-16 or 12,14"),
    (["--remove", "1-3,2"], "2 is given twice in '1-3,2'"),
    (["--remove", "4,13", "--remove", "13,4-4"], "--remove 4,13 is given twice"),
    (["--remove", "4", "--protect", "15-14"], "the range 15-14 runs backwards"),
    (["--remove", "4", "--top-k", "4-8"], "'4-8' in '4-8' is not a number; write 4,13"),
    (["--remove", "4", "--blocks", "16-12"], "the range 16-12 runs backwards"),
    (["--remove", "4", "--blocks", "0-9999999"], "the range 0-9999999 is too long"),
    (["--remove", "4", "--blocks", "12-14,13"], "13 is given twice"),
    (["--remove", "4", "--top-k", "two"], "'two' in 'two' is not a number"),
    (["--remove", "4", "--strategy", "best"], "'best' is not one of"),
]


@pytest.mark.parametrize(("arguments", "phrase"), CONTRADICTIONS, ids=[phrase for _, phrase in CONTRADICTIONS])
def test_options_that_cannot_stand_are_usage_errors(model: Path, arguments: list[Any], phrase: str) -> None:
    result = plan(model, *arguments)
    assert result.exit_code == 2
    assert phrase in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("count", "bytes_text", "count_text"),
    [
        (0, "0 B", "0"),
        (999, "999 B", "999"),
        (1000, "1.00 kB", "1.00 k"),
        (99_950, "100 kB", "100 k"),
        (999_499, "999 kB", "999 k"),
        (999_500, "1.00 MB", "1.00 M"),
        (7_221_875_712, "7.22 GB", "7.22 B"),
        (28_887_502_848, "28.9 GB", "28.9 B"),
    ],
)
def test_sizes_are_shown_with_three_digits(count: int, bytes_text: str, count_text: str) -> None:
    assert (show_bytes(count), show_count(count)) == (bytes_text, count_text)


def test_blocks_to_remove_and_to_protect_may_be_ranges(model: Path) -> None:
    document = json.loads(plan(model, "--remove", "2-4,13", "--protect", "14-15", "--json").output)
    assert [variant["removed"] for variant in document["variants"]] == [[2, 3, 4, 13]]
    assert document["choice"]["protected"] == [0, 14, 15]


def test_none_is_the_whole_model_beside_chosen_sets(model: Path) -> None:
    document = json.loads(plan(model, "--remove", "none", "--remove", "4", "--json").output)
    assert [variant["removed"] for variant in document["variants"]] == [[], [4]]
