"""Beam search over removed blocks: what it tries, its files, and carrying on."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from profiles.benchmarks.searching.prefix_sharing import bench_search
from profiles.datasets.changes import Changes
from profiles.datasets.dataset import Dataset
from profiles.datasets.splits import joined, load_splits
from profiles.evidence.measuring.open_exams import open_exams
from profiles.evidence.running.source_model import SourceModel, open_source_model
from profiles.evidence.searching.beam_search import Beam, Removed, all_candidates, beam_search, expected_runs
from profiles.evidence.searching.search import Found, search_each, search_together
from runtime.errors import DocumentError
from tests.support.commands import trimoe
from tests.support.counted_runs import Runs
from tests.support.paths import DEMO

pytestmark = pytest.mark.usefixtures("one_thread")

CHECKPOINT = DEMO / "checkpoint"
TASKS = ("digits-mc", "digits-vqa")


@pytest.fixture(scope="module")
def demo_model() -> SourceModel:
    return open_source_model(CHECKPOINT, device="cpu")


def _beam(width: int, most_removed: int, *candidates: int, blocks: int = 16) -> Beam:
    return Beam(blocks=blocks, width=width, most_removed=most_removed, candidates=candidates or all_candidates(blocks))


def _search(model: SourceModel, out: Path, runs: Runs, *, together: bool = False) -> tuple[Found, ...]:
    with open_exams(model, joined(load_splits(TASKS, Changes(limit=6))), out, batch_size=6) as exams:
        return (search_together if together else search_each)(exams, _beam(2, 2, 3, 9, 13, 15), out, runs)


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.json")}


def test_a_beam_grows_the_best_sets_and_spares_block_0() -> None:
    losses = {1: 0.4, 2: 0.1, 3: 0.2, 4: 0.3}
    asked: list[Sequence[Removed]] = []

    def accuracies(wanted: Sequence[Removed]) -> list[float]:
        asked.append(wanted)
        return [1 - sum(losses[block] for block in removed) for removed in wanted]

    steps = beam_search(accuracies, _beam(2, 2, blocks=5))
    assert [step.removed for step in steps] == [(1,), (2,), (3,), (4,), (1, 2), (1, 3), (2, 3), (2, 4), (3, 4)]
    assert [step.step for step in steps] == [1] * 4 + [2] * 5
    assert [len(wanted) for wanted in asked] == [4, 5]


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ((0, 3), "block 0 is never removed"),
        ((3, 16), "no block 16: the model has blocks 0–15"),
        ((3,), "2 blocks to remove, but only 1 candidates"),
    ],
)
def test_a_beam_refuses_blocks_that_cannot_go(candidates: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _beam(3, 2, *candidates)


def test_the_expected_work_is_that_of_the_first_step_and_more_for_each_further() -> None:
    first = 16 + 15 + sum(range(14, -1, -1))  # the whole model; then block 0, the path along it, and what follows each
    assert expected_runs(_beam(3, 1)) == first
    assert (
        first < expected_runs(_beam(3, 2)) < expected_runs(_beam(3, 4)) < 16 + (15 * 15 + 42 * 14 + 39 * 13 + 36 * 12)
    )


def test_a_search_that_was_killed_carries_on_and_writes_the_same_files(demo_model: SourceModel, tmp_path: Path) -> None:
    whole, killed, counted = tmp_path / "whole", tmp_path / "killed", Runs()
    found = _search(demo_model, whole, counted)
    with pytest.raises(KeyboardInterrupt):
        _search(demo_model, killed, Runs(limit=counted.count * 2 // 3))
    rest = Runs()
    assert _search(demo_model, killed, rest) == found
    assert 0 < rest.count < counted.count
    assert _files(killed) == _files(whole)
    again = Runs()
    assert _search(demo_model, whole, again) == found
    assert again.count == 0
    folder = whole / "digits-mc" / "train+validation"
    results = json.loads((folder / "exp3_accuracy_sensitivity_v2_results.json").read_text("utf-8"))
    assert (results["num_samples"], results["beam_width"], len(results["summary"])) == (12, 2, len(found[0].steps))
    row = results["summary"][0]
    assert row["accuracy_drop"] == results["baseline_accuracy"] - row["accuracy"]
    path = folder / "beam_search_step1_blocks15_removed3.json"
    one = json.loads(path.read_text("utf-8"))
    assert (one["step"], one["num_active_blocks"], one["num_total_blocks"]) == (1, 15, 16)
    assert one["active_block_indices"] == [block for block in range(16) if block != 3]
    path.write_text(json.dumps(one | {"removed_block_indices": [4]}), "utf-8")
    with pytest.raises(DocumentError, match=r"removed_block_indices: \[4\] of 16 blocks, under the name beam_search_"):
        _search(demo_model, whole, Runs())


def test_one_beam_for_all_measures_every_set_on_every_data_set(demo_model: SourceModel, tmp_path: Path) -> None:
    found = _search(demo_model, tmp_path, Runs(), together=True)
    one, other = ([step.removed for step in each.steps] for each in found)
    assert one == other
    assert len(one) == len(set(one)) >= 4 + 5


def test_the_command_says_what_it_will_take_and_what_it_found(tmp_path: Path) -> None:
    options = ("--data", "digits-mc", "--limit", "3", "--depth", "1", "--candidate", "13", "--candidate", "15")
    result = trimoe("search", CHECKPOINT, *options, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert "about" in result.stderr
    assert "2 configurations measured" in result.output
    refused = trimoe("search", CHECKPOINT, *options, "--candidate", "0", "--out", tmp_path / "other")
    assert refused.exit_code == 2
    assert "block 0 is never removed" in refused.output


def test_the_benchmark_gives_the_same_answers_both_ways(demo_model: SourceModel) -> None:
    splits = joined(load_splits(["digits-read"], Changes(limit=3)))
    questions = [split.content for split in splits if isinstance(split.content, Dataset)]
    steps = bench_search(demo_model, questions, _beam(1, 2, 9, 10, 15), batch_size=6, timed=2, say=lambda _: None)
    assert [(step.step, step.cuts, step.timed, step.same) for step in steps] == [(1, 3, 2, 2), (2, 2, 2, 2)]
