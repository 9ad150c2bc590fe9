"""What the run side by side says of a source whose own numbers are not finite."""

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from runtime.errors import CheckpointError
from tests.support.families import plan_model
from tests.support.staged_variants import compare, staged
from tests.support.tiny_transformers import write_transformers

pytestmark = pytest.mark.usefixtures("one_thread")


NORM = "input_layernorm.weight"


@pytest.mark.parametrize(
    ("family", "name", "value", "said"),
    [
        pytest.param(
            "llama",
            f"model.layers.3.{NORM}",
            torch.nan,
            f'from layer 2 (source block 3) on: tensor "model.layers.3.{NORM}"',
            id="block",
        ),
        pytest.param(
            "olmoe",
            "model.layers.0.mlp.gate.weight",
            torch.inf,
            'from layer 0 (source block 0) on: tensor "model.layers.0.mlp.gate',
            id="gate",
        ),
        pytest.param(
            "llama",
            "model.embed_tokens.weight",
            torch.inf,
            'from the embeddings on: tensor "model.embed_tokens.weight"',
            id="embeddings",
        ),
        pytest.param("llama", "lm_head.weight", torch.nan, 'after the last layer: tensor "lm_head.weight"', id="head"),
    ],
)
def test_numbers_that_are_not_finite_are_named_with_variant_layer_tensor_and_file(
    tmp_path: Path, family: str, name: str, value: float, said: str
) -> None:
    source = write_transformers(family, tmp_path / "source", max_shard_size="1GB")
    tensors = load_file(source / "model.safetensors")
    tensors[name][:] = value
    save_file(tensors, source / "model.safetensors", {"format": "pt"})
    plan = plan_model(family, source, removals=((1,),))
    with pytest.raises(CheckpointError) as caught:
        compare(plan, staged(plan, tmp_path))
    text = str(caught.value)
    assert text.startswith(
        f"{source}: the source with the blocks of {plan.variants[0].id} gives logits that are not finite, {said}"
    )
    assert text.endswith(" in model.safetensors holds NaN or infinity; nothing can be verified with it")


def test_finite_weights_that_overflow_their_type_are_told_from_broken_ones(tmp_path: Path) -> None:
    source = write_transformers("llama", tmp_path / "source", dtype=torch.float16, max_shard_size="1GB")
    tensors = load_file(source / "model.safetensors")
    tensors["model.layers.2.mlp.down_proj.weight"][:] = 60000.0
    save_file(tensors, source / "model.safetensors", {"format": "pt"})
    plan = plan_model("llama", source, removals=((1,),))
    said = (
        "b4 gives logits that are not finite, from layer 1 (source block 2) on: the weights there are finite, "
        "so the numbers overflow float16;"
    )
    with pytest.raises(CheckpointError, match=re.escape(said)):
        compare(plan, staged(plan, tmp_path))


def test_a_removed_block_may_hold_anything(tmp_path: Path) -> None:
    source = write_transformers("llama", tmp_path / "source", max_shard_size="1GB")
    tensors = load_file(source / "model.safetensors")
    tensors[f"model.layers.1.{NORM}"][:] = torch.nan
    save_file(tensors, source / "model.safetensors", {"format": "pt"})
    plan = plan_model("llama", source, removals=((1,),))
    assert list(compare(plan, staged(plan, tmp_path))[0]) == ["b4"]
