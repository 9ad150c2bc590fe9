"""Models streamed block by block against the same models whole in memory."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from exporter.architectures.find import find_architecture
from exporter.checkpoint.checkpoint import open_checkpoint
from exporter.reference.block_model import BlockModel
from exporter.reference.golden_inputs import make_inputs, vocabulary
from exporter.verify.export_answers import open_source
from runtime.errors import CheckpointError
from tests.support.families import SOURCES, model_source
from tests.support.tiny_transformers import BLOCKS, masked_original, whole_model, write_transformers

pytestmark = pytest.mark.usefixtures("one_thread")


def open_tiny(folder: Path) -> BlockModel:
    checkpoint = open_checkpoint(folder)
    return open_source(checkpoint, find_architecture(checkpoint.config, file="config.json"))


def run(
    model: BlockModel, inputs: dict[str, torch.Tensor], layers: tuple[int, ...], top_k: tuple[int, ...] | None
) -> torch.Tensor:
    model.place_non_block(model.read_non_block())
    hidden = model.start(inputs)
    for layer, block in enumerate(layers):
        hidden = model.advance(
            block, hidden, model.read_layer(block), top_k=None if top_k is None else top_k[layer]
        ).hidden
    return model.finish(hidden, inputs)


@pytest.mark.parametrize("architecture", SOURCES)
def test_it_equals_the_whole_model_with_blocks_taken_out(architecture: str, tmp_path: Path) -> None:
    source = model_source(architecture, tmp_path / "source")
    layers, top_k = (0, 2, 4), (2, 1, 3) if architecture != "llama" else None
    model = open_tiny(source)
    assert model.depth == BLOCKS
    checkpoint = open_checkpoint(source)
    inputs = make_inputs(checkpoint.config, vocabulary=vocabulary(checkpoint))
    path = "model.transformer.blocks" if architecture == "molmoe" else "model.layers"
    with torch.no_grad():
        expected = masked_original(whole_model(architecture, source), layers, top_k, path=path)(
            **inputs, use_cache=False
        ).logits
    assert torch.equal(run(model, inputs, layers, top_k), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_it_computes_in_the_type_of_the_checkpoint(dtype: torch.dtype, tmp_path: Path) -> None:
    source = write_transformers("olmoe", tmp_path / "source", dtype=dtype)
    model = open_tiny(source)
    inputs = {"input_ids": torch.arange(3, 15).reshape(1, 12), "attention_mask": torch.ones(1, 12, dtype=torch.int64)}
    with torch.no_grad():
        expected = AutoModelForCausalLM.from_pretrained(source).eval()(**inputs).logits
    found = run(model, inputs, tuple(range(BLOCKS)), None)
    assert found.dtype == dtype == model.dtype
    assert torch.equal(found, expected)


def test_tied_embeddings_are_the_head(tmp_path: Path) -> None:
    source = write_transformers("llama", tmp_path / "source", tie_word_embeddings=True)
    inputs = {"input_ids": torch.arange(3, 15).reshape(1, 12), "attention_mask": torch.ones(1, 12, dtype=torch.int64)}
    with torch.no_grad():
        expected = AutoModelForCausalLM.from_pretrained(source).eval()(**inputs).logits
    assert torch.equal(run(open_tiny(source), inputs, tuple(range(BLOCKS)), None), expected)


def test_rotary_frequencies_of_other_rope_types_are_computed(tmp_path: Path) -> None:
    rope = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    }
    source = write_transformers("llama", tmp_path / "source", rope_parameters={**rope, "rope_theta": 10000.0})
    inputs = {"input_ids": torch.arange(3, 15).reshape(1, 12), "attention_mask": torch.ones(1, 12, dtype=torch.int64)}
    with torch.no_grad():
        expected = AutoModelForCausalLM.from_pretrained(source).eval()(**inputs).logits
    assert torch.equal(run(open_tiny(source), inputs, tuple(range(BLOCKS)), None), expected)


def rewritten(tmp_path: Path, change: dict[str, torch.Tensor | None]) -> BlockModel:
    """The tiny OLMoE with tensors replaced, added or (None) left out, opened past the checks that a plan would make
    first."""
    source = write_transformers("olmoe", tmp_path / "source", max_shard_size="1GB")
    tensors = {**load_file(source / "model.safetensors"), **change}
    save_file(
        {name: tensor for name, tensor in tensors.items() if tensor is not None},
        source / "model.safetensors",
        {"format": "pt"},
    )
    return open_tiny(source)


def test_a_missing_tensor_of_a_block_is_named(tmp_path: Path) -> None:
    model = rewritten(tmp_path, {"model.layers.1.mlp.experts.3.up_proj.weight": None})
    with pytest.raises(
        CheckpointError, match=r'1 tensor of layer 1 missing, first "model.layers.1.mlp.experts.3.up_proj.weight"'
    ):
        model.read_layer(1)


def test_an_unexpected_tensor_of_a_block_is_named(tmp_path: Path) -> None:
    model = rewritten(tmp_path, {"model.layers.1.mlp.experts.8.up_proj.weight": torch.zeros(48, 32)})
    with pytest.raises(
        CheckpointError,
        match=r'model.safetensors: tensor "model.layers.1.mlp.experts.8.up_proj.weight" is no parameter',
    ):
        model.read_layer(1)


def test_a_tensor_of_another_shape_is_named(tmp_path: Path) -> None:
    model = rewritten(tmp_path, {"model.layers.1.mlp.experts.2.down_proj.weight": torch.zeros(32, 47)})
    with pytest.raises(
        CheckpointError, match=r'experts.2.down_proj.weight" has shape \[32, 47\], the model needs \[32, 48\]'
    ):
        model.read_layer(1)


def test_a_missing_embedding_is_named(tmp_path: Path) -> None:
    model = rewritten(tmp_path, {"model.embed_tokens.weight": None})
    with pytest.raises(CheckpointError, match=r'1 tensor missing, first "model.embed_tokens.weight"'):
        model.place_non_block(model.read_non_block())


def test_tensors_beyond_the_depth_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"tensors of layers \[5\], but config.json says there are 5 layers"):
        rewritten(tmp_path, {"model.layers.5.input_layernorm.weight": torch.zeros(32)})
