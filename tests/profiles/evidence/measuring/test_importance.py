"""Importance of blocks as the study's files: measured once, carried on after a kill, refused where it does not fit."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from exporter.checkpoint.checkpoint import open_checkpoint
from profiles.datasets.changes import Changes
from profiles.datasets.splits import joined, load_splits
from profiles.errors import DatasetError, MeasurementError
from profiles.evidence.measuring.importance_pass import chosen_blocks, measure_importance
from profiles.evidence.measuring.open_exams import open_exams
from profiles.evidence.running.cut import WHOLE, Cut
from profiles.evidence.running.influence import Influence
from profiles.evidence.running.source_model import SourceModel, load_staged, open_source_model
from tests.support.byte_pair_tokenizers import write_tokenizer
from tests.support.commands import trimoe
from tests.support.counted_runs import Runs
from tests.support.families import model_source
from tests.support.paths import DEMO
from tests.support.tiny_transformers import BLOCKS, masked_original, whole_model, write_transformers

pytestmark = pytest.mark.usefixtures("one_thread")

CHECKPOINT = DEMO / "checkpoint"
TEXT = "The number on the sign is 0720, isn't it? How many apples are there? They'll say: three (3)! " * 40


@pytest.fixture(scope="module")
def demo_model() -> SourceModel:
    return open_source_model(CHECKPOINT, device="cpu")


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_transformers("llama", tmp_path_factory.mktemp("llama"), vocab_size=400, max_position_embeddings=600)
    return write_tokenizer(folder)


def _measure(model: SourceModel, out: Path, blocks: tuple[int, ...], runs: Runs) -> None:
    splits = load_splits(["digits-read"], Changes(limit=6))
    with open_exams(model, splits, out, batch_size=4) as exams:
        measure_importance(exams, blocks, out, runs)


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.json")}


def test_a_run_that_was_killed_carries_on_and_writes_the_same_files(demo_model: SourceModel, tmp_path: Path) -> None:
    whole, killed, counted = tmp_path / "whole", tmp_path / "killed", Runs()
    _measure(demo_model, whole, (0, 15), counted)
    with pytest.raises(KeyboardInterrupt):
        _measure(demo_model, killed, (0, 15), Runs(limit=counted.count // 2))
    rest = Runs()
    _measure(demo_model, killed, (0, 15), rest)
    assert rest.count < counted.count
    assert _files(killed) == _files(whole)
    again = Runs()
    _measure(demo_model, whole, (0, 7, 15), again)
    assert again.count == 2 * 2 * 15  # two splits of two batches: all blocks but block 7; the whole model is known
    found = json.loads((whole / "digits-read/train/sensitivity_block_0.json").read_text("utf-8"))
    assert (found["block_idx"], found["dataset_name"], found["split"], found["num_samples"]) == (
        0,
        "digits-read",
        "train",
        6,
    )
    assert found["importance_score"] == found["baseline_accuracy"] - found["ablated_accuracy"] > 0.5
    comparison = json.loads((whole / "digits-read/importance_comparison_digits-read.json").read_text("utf-8"))
    assert comparison["train_scores"]["0"] == found["importance_score"]


def test_evidence_made_otherwise_is_not_carried_on(demo_model: SourceModel, tmp_path: Path) -> None:
    _measure(demo_model, tmp_path, (), Runs())
    splits = load_splits(["digits-read"], Changes(limit=5))
    with (
        pytest.raises(MeasurementError, match="holds measurements made with another digest"),
        open_exams(demo_model, splits, tmp_path, batch_size=4),
    ):
        pass
    (tmp_path / "digits-read/train/measurement.jsonl").unlink()
    with pytest.raises(MeasurementError, match=r"holds block_influence\.json, and nothing that says how it was"):
        _measure(demo_model, tmp_path, (), Runs())


def test_the_command_shows_importance_beside_influence(tmp_path: Path) -> None:
    options = ("--data", "digits-mc:train", "--limit", "4", "--block", "0", "--block", "3", "--out", tmp_path / "out")
    result = trimoe("importance", CHECKPOINT, *options)
    assert result.exit_code == 0, result.output
    assert "digits-mc: rank correlation of importance and influence" in result.output
    assert "about" in result.stderr
    refused = trimoe("importance", CHECKPOINT, *options[:4], "--block", "16", "--out", tmp_path / "other")
    assert refused.exit_code == 1
    assert "no block 16: the model has blocks 0–15" in refused.output
    assert chosen_blocks((), 3) == (0, 1, 2)


def test_the_likelihood_of_a_text_is_what_transformers_says(text_folder: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text(TEXT, "utf-8")
    model, cut = open_source_model(text_folder, device="cpu"), Cut(removed=(1, 3))
    with open_exams(model, load_splits([f"words={text}"], Changes()), tmp_path / "out", batch_size=2) as (exam,):
        found = exam.measure([cut], Runs())
        scores = measure_importance([exam], (2,), tmp_path / "out", Runs())
    (prompt,) = model.prompts.read(_questions(), variant="")
    ids = torch.from_numpy(prompt.arrays["input_ids"])
    expected = masked_original(whole_model("llama", text_folder), cut_layers(cut), None)
    assert found[cut] == pytest.approx(_mean_log_likelihood(expected, ids), abs=1e-6)
    document = json.loads((tmp_path / "out/words/train/sensitivity_block_2.json").read_text("utf-8"))
    assert document["metric"] == "log-likelihood/token"
    assert document["baseline_perplexity"] == pytest.approx(math.exp(-document["baseline_accuracy"]))
    assert scores[0].importance == {2: document["importance_score"]}


def cut_layers(cut: Cut) -> list[int]:
    return [block for block, _ in cut.steps(BLOCKS)]


def _questions() -> Iterator[object]:
    from runtime.engines.prompts import Question

    yield Question(text=TEXT)


def _mean_log_likelihood(model: torch.nn.Module, ids: torch.Tensor) -> float:
    total, count = 0.0, 0
    for window in ids.split(512):
        with torch.no_grad():
            loss = model(input_ids=window[None], labels=window[None]).loss
        total, count = total - float(loss) * (len(window) - 1), count + len(window) - 1
    return total / count


def test_a_text_is_refused_by_a_model_of_images(demo_model: SourceModel, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("one two three", "utf-8")
    with (
        pytest.raises(MeasurementError, match="words: a text, but the model answers questions about images"),
        open_exams(demo_model, load_splits([f"words={text}"], Changes()), tmp_path / "out", batch_size=2),
    ):
        pass


def test_influence_is_one_minus_the_cosine_of_input_and_output(tmp_path: Path) -> None:
    folder = model_source("olmoe", tmp_path)
    ids = torch.tensor([[5, 6, 7, 8], [9, 10, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    influence = Influence(model=load_staged(open_checkpoint(folder), device="cpu"))
    influence.add({"input_ids": ids, "attention_mask": mask})
    with torch.no_grad():
        states = whole_model("olmoe", folder)(
            input_ids=ids, attention_mask=mask, output_hidden_states=True
        ).hidden_states
    # transformers gives the last state behind the final norm, so the last block is not compared
    for block in range(BLOCKS - 1):
        cosine = torch.cosine_similarity(states[block], states[block + 1], dim=-1)[mask.bool()].mean()
        assert influence.scores[block] == pytest.approx(1 - float(cosine), abs=1e-6)
    with pytest.raises(ValueError, match="no tokens were read"):
        _ = Influence(model=load_staged(open_checkpoint(folder), device="cpu")).scores


def test_splits_are_named_and_joined(tmp_path: Path) -> None:
    lines = tmp_path / "mine.jsonl"
    lines.write_text('{"question": "a?", "answers": ["b"]}\n', "utf-8")
    splits = load_splits([f"mine={lines}", f"mine:validation={lines}", "digits-mc"], Changes(limit=2))
    assert [(one.name, one.split) for one in splits] == [
        ("mine", "train"),
        ("mine", "validation"),
        ("digits-mc", "train"),
        ("digits-mc", "validation"),
    ]
    mine, choice = joined(splits)
    assert (mine.split, [sample.id for sample in mine.content.samples]) == (
        "train+validation",
        ["train/1", "validation/1"],
    )
    assert len(choice.content.samples) == 4
    for given, message in (
        ([f"mine={lines}", f"mine:train={lines}"], "the data set mine has the split train twice"),
        (["demo:test"], "the demo's data sets need no path, and their splits are train, validation"),
        (["okvqa"], "give demo, NAME=PATH or NAME:SPLIT=PATH"),
        ([f"mine={tmp_path}/none.txt"], "cannot be read as text"),
    ):
        with pytest.raises(DatasetError, match=message):
            load_splits(given, Changes())
    empty = tmp_path / "empty.txt"
    empty.write_text(" \n", "utf-8")
    with pytest.raises(DatasetError, match="holds no text"):
        load_splits([f"mine={empty}"], Changes())
    assert WHOLE.removed == ()
