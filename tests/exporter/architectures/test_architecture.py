"""The rows of the families: which names are blocks, and which configs are refused."""

import json
from typing import Any

import pytest

from exporter.architectures.find import find_architecture
from exporter.architectures.supported import ARCHITECTURES, LLAMA, MIXTRAL, MOLMOE, OLMOE
from runtime.errors import CheckpointError, DocumentError
from tests.support.paths import MODELING, TEST_DATA

REAL_CONFIG = TEST_DATA / "molmoe-1b" / "config.json"


def test_the_real_molmoe_config_is_a_molmoe() -> None:
    assert find_architecture(json.loads(REAL_CONFIG.read_text("utf-8")), file="config.json") is MOLMOE


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda architecture: architecture.name)
def test_each_model_type_finds_its_row(architecture: Any) -> None:
    config = {"model_type": architecture.model_type, **dict(architecture.config.required_values)}
    assert find_architecture(config, file="config.json") is architecture


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("model.transformer.blocks.0.attn.att_proj.weight", (0, "attn.att_proj.weight")),
        ("model.transformer.blocks.15.mlp.experts.63.up_proj.weight", (15, "mlp.experts.63.up_proj.weight")),
        ("model.vision_backbone.image_vit.transformer.resblocks.3.attention.wq.weight", None),
        ("model.transformer.blocks.03.mlp.gate.weight", None),
        ("model.transformer.blocks.3", None),
        ("model.transformer.blocks.٣.mlp.gate.weight", None),
        ("x.model.transformer.blocks.3.mlp.gate.weight", None),
        ("model.transformer.wte.embedding", None),
    ],
)
def test_a_block_is_known_by_the_whole_beginning_of_a_name(name: str, expected: tuple[int, str] | None) -> None:
    assert MOLMOE.split_name(name) == expected


def test_a_layer_name_is_the_inverse_of_splitting() -> None:
    for architecture in ARCHITECTURES:
        assert architecture.split_name(architecture.layer_name(7, "mlp.gate.weight")) == (7, "mlp.gate.weight")


def test_experts_are_told_from_shared_experts() -> None:
    assert MIXTRAL.expert_pattern is not None and MIXTRAL.expert_pattern.match("block_sparse_moe.experts.3.w1.weight")
    assert OLMOE.expert_pattern is not None and not OLMOE.expert_pattern.match("mlp.shared_expert.up_proj.weight")
    assert LLAMA.expert_pattern is None


@pytest.mark.parametrize(
    ("config", "phrase"),
    [
        (
            {"model_type": "gpt2"},
            'unknown architecture "gpt2"; known model types: molmo '
            "(molmoe), olmoe, mixtral, qwen2_moe, qwen3_moe, llama",
        ),
        ({"model_type": "molmo"}, 'the key "block_type" is missing; architecture molmoe needs "moe"'),
        (
            {"model_type": "molmo", "block_type": "sequential"},
            'block_type: architecture molmoe needs "moe", found the string "sequential"',
        ),
        (
            {"model_type": "olmoe", "torch_dtype": "float33"},
            'torch_dtype: the string "float33" is no data type; known: float64, float32, float16, bfloat16, ',
        ),
        ({"model_type": "olmoe", "dtype": {"text": "float32"}}, "dtype: an object of 1 keys is no data type"),
        (
            {"model_type": "llava", "text_config": {"model_type": "llama"}},
            "text_config: the language model's config is nested",
        ),
    ],
)
def test_a_config_of_no_known_family_is_refused_by_name(config: dict[str, Any], phrase: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        find_architecture(config, file="x/config.json")
    assert phrase in str(caught.value)
    assert str(caught.value).startswith("x/config.json: ")


@pytest.mark.parametrize("config", [{}, {"model_type": 3}, {"model_type": None}])
def test_a_model_type_must_be_a_text(config: dict[str, Any]) -> None:
    with pytest.raises(DocumentError, match="model_type"):
        find_architecture(config, file="config.json")


def test_modeling_files_exist_and_their_relative_imports_travel_along() -> None:
    for architecture in ARCHITECTURES:
        for name in architecture.own_type.modeling_files:
            text = (MODELING / name).read_text("utf-8")
            imported = {f"{line.split()[1][1:]}.py" for line in text.splitlines() if line.startswith("from .")}
            assert imported <= set(architecture.own_type.modeling_files), (
                f"{name} imports {imported - set(architecture.own_type.modeling_files)}"
            )


def test_each_class_of_an_auto_map_is_defined_in_a_file_that_travels() -> None:
    for architecture in ARCHITECTURES:
        for _, reference in architecture.own_type.auto_map:
            module, name = reference.split(".")
            assert f"{module}.py" in architecture.own_type.modeling_files
            assert f"class {name}(" in (MODELING / f"{module}.py").read_text("utf-8")


@pytest.mark.parametrize("rest", ["norm.weight\n", "a\nb", "\r", "x\x00y\u2028"])
def test_the_rest_of_a_name_is_taken_literally(rest: str) -> None:
    for architecture in ARCHITECTURES:
        name = f"{architecture.tensors.block_prefix}3.{rest}"
        assert architecture.split_name(name) == (3, rest)
        assert architecture.layer_name(3, rest) == name
