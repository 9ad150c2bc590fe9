"""The committed demo model: it loads, it answers held-out questions, and its evidence fits together."""

import json
from typing import Any

import pytest
import torch

from profiles.datasets.digits.dataset import CALIBRATION, demo_dataset
from profiles.datasets.digits.tasks import TASKS, make_samples
from profiles.demo.checkpoint import WEIGHTS, hub_tensors, load_model
from profiles.demo.config_files import BLOCKS
from profiles.demo.encoding import encode_samples
from profiles.demo.evidence import conclude, search_name
from profiles.demo.scores import score_cuts
from profiles.evidence.running.cut import WHOLE, Cut
from profiles.evidence.running.source_model import SourceModel, open_source_model
from runtime.modeling.configuration_trimoe_molmoe import TrimoeMolmoeConfig
from runtime.modeling.modeling_trimoe_molmoe import TrimoeMolmoeForCausalLM
from runtime.modeling.processing_trimoe_molmoe import TrimoeMolmoeProcessor
from tests.support.paths import DEMO

CHECKPOINT = DEMO / "checkpoint"
EVIDENCE = DEMO / "evidence"
SAMPLES = 40


def _read(name: str) -> Any:
    return json.loads((EVIDENCE / name).read_text(encoding="utf-8"))


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model() -> TrimoeMolmoeForCausalLM:
    return load_model(CHECKPOINT)


@pytest.fixture(scope="module")
def source() -> SourceModel:
    return open_source_model(CHECKPOINT, device="cpu")


def _averages(source: SourceModel, *cuts: Cut) -> list[float]:
    by_task = [score_cuts(source, task, cuts, SAMPLES) for task in TASKS]
    return [sum(scores[cut] for scores in by_task) / len(by_task) for cut in cuts]


def test_the_weights_are_at_most_16_million_bytes() -> None:
    assert (CHECKPOINT / WEIGHTS).stat().st_size <= 16_000_000


def test_the_checkpoint_loads_with_no_key_missing_or_unexpected() -> None:
    config = TrimoeMolmoeConfig.from_pretrained(CHECKPOINT)
    model, report = TrimoeMolmoeForCausalLM.from_pretrained(CHECKPOINT, config=config, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert not report["mismatched_keys"]
    assert len(model.model.transformer.blocks) == BLOCKS


def test_the_checkpoint_has_the_hubs_names(model: TrimoeMolmoeForCausalLM) -> None:
    config = json.loads((CHECKPOINT / "config.json").read_text(encoding="utf-8"))
    assert (config["model_type"], config["architectures"]) == ("molmo", ["OLMoForCausalLM"])
    names = hub_tensors(model).keys()
    assert "model.transformer.wte.embedding" in names
    assert "model.transformer.blocks.15.mlp.experts.63.gate_proj.weight" in names
    assert "model.vision_backbone.image_pooling_2d.wq.bias" in names
    assert sum(name.startswith("model.transformer.blocks.3.") for name in names) == 199


def test_held_out_answers_are_right_and_block_0_hurts_more_than_the_recommended_block(source: SourceModel) -> None:
    removed = tuple(_read("pruning_recommendations.json")["1"]["removed_blocks"])
    whole, without_0, recommended = _averages(source, WHOLE, Cut(removed=(0,)), Cut(removed=removed))
    assert whole >= 0.93
    assert without_0 < recommended - 0.02


@pytest.mark.parametrize("task", TASKS)
def test_the_batch_encoding_is_what_the_processor_makes_of_each_sample(task: str) -> None:
    processor = TrimoeMolmoeProcessor.from_pretrained(CHECKPOINT)
    samples = make_samples(task, "test", 4, seed=5)
    batch = encode_samples(samples, processor.tokenizer)
    for row, sample in enumerate(samples):
        alone = processor.process(images=[sample.pixels], text=sample.question)
        assert torch.equal(alone["input_ids"], batch.input_ids[row, : batch.prompt_lengths[row]])
        # The processor repeats torch's interpolation in numpy, whose sums round in another order.
        torch.testing.assert_close(alone["images"], batch.images[row], rtol=0, atol=1e-5)
        assert torch.equal(alone["image_masks"], batch.image_masks[row])
        assert torch.equal(alone["image_input_idx"].long(), batch.image_input_idx[row])


def test_the_published_scores_reach_the_promise_and_block_0_hurts_most() -> None:
    scores = json.loads((DEMO / "scores.json").read_text(encoding="utf-8"))
    results = scores["results"]
    assert scores["metrics"] == {task: demo_dataset(task, 1).settings.metric for task in TASKS}
    assert results["whole"]["average"] >= 0.95
    singles = {block: results[f"without block {block}"]["average"] for block in range(BLOCKS)}
    assert min(singles, key=singles.__getitem__) == 0


def test_block_0_is_the_most_important_of_the_evidence() -> None:
    assert _read("layer_importance_scores_full.json")["ranking"][0] == 0


@pytest.mark.parametrize("task", TASKS)
def test_comparisons_hold_the_measured_importance(task: str) -> None:
    comparison = _read(f"importance/{task}/importance_comparison_{task}.json")
    assert comparison["dataset_name"] == task
    for half in CALIBRATION:
        for block in range(BLOCKS):
            entry = _read(f"sensitivity/{task}/{half}/sensitivity_block_{block}.json")
            assert (entry["block_idx"], entry["dataset_name"], entry["split"]) == (block, task, half)
            assert entry["num_samples"] >= 150
            assert entry["importance_score"] == pytest.approx(entry["baseline_accuracy"] - entry["ablated_accuracy"])
            assert comparison[f"{half}_scores"][str(block)] == entry["importance_score"]


@pytest.mark.parametrize("task", TASKS)
def test_searches_protect_block_0_and_remove_at_most_four(task: str) -> None:
    search = _read(search_name(task))
    for row in search["summary"]:
        removed = row["removed_block_indices"]
        assert removed == sorted(set(removed))
        assert len(removed) == row["step"] <= 4
        assert 0 not in removed
        assert row["accuracy_drop"] == pytest.approx(search["baseline_accuracy"] - row["accuracy"])


def test_conclusions_follow_from_the_measurements() -> None:
    names = [f"importance/{task}/importance_comparison_{task}.json" for task in TASKS] + [
        search_name(task) for task in TASKS
    ]
    for name, document in conclude({name: _read(name) for name in names}).items():
        assert json.dumps(document, indent=2) + "\n" == (EVIDENCE / name).read_text(encoding="utf-8"), name


def test_recommendations_cover_one_to_four_blocks_step_by_step() -> None:
    steps = _read("pruning_recommendations.json")
    assert list(steps) == ["1", "2", "3", "4"]
    for count, step in steps.items():
        assert len(step["removed_blocks"]) == int(count)
        assert step["num_datasets"] >= 2
        assert 0 not in step["removed_blocks"]
