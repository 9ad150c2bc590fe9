"""Config edits: what follows the layers, what stays, and every field that nobody understands."""

import json
from typing import Any

import pytest
from transformers import LlamaConfig, MixtralConfig, OlmoeConfig, Qwen2MoeConfig, Qwen3MoeConfig

from exporter.architectures.architecture import Architecture
from exporter.architectures.dimensions import read_dimensions
from exporter.architectures.find import find_architecture
from exporter.architectures.layer_fields import check_layer_fields
from exporter.architectures.supported import ARCHITECTURES, LLAMA, MIXTRAL, MOLMOE, OLMOE, QWEN2_MOE, QWEN3_MOE
from exporter.plan.config_edit import edit_carried, edit_config
from exporter.synth.configs import BENCH_CONFIG, MOLMOE_CONFIG, OLMOE_CONFIG
from runtime.documents.checked_json import parse_document
from runtime.errors import DocumentError, PlanError
from tests.support.paths import TEST_DATA
from tests.support.tiny_checkpoints import tiny_config

REAL_CONFIG: dict[str, Any] = json.loads((TEST_DATA / "molmoe-1b" / "config.json").read_text("utf-8"))
WITHOUT_4_13 = tuple(block for block in range(16) if block not in (4, 13))


def test_the_real_molmoe_config_changes_in_depth_type_and_classes_only() -> None:
    edited = edit_config(MOLMOE, REAL_CONFIG, layers=WITHOUT_4_13, top_k=(8,) * 14)
    changed = {key for key in {*edited, *REAL_CONFIG} if edited.get(key) != REAL_CONFIG.get(key)}
    assert changed == {"n_layers", "model_type", "architectures", "auto_map"}
    assert (edited["n_layers"], edited["model_type"], edited["architectures"]) == (
        14,
        "trimoe_molmoe",
        ["TrimoeMolmoeForCausalLM"],
    )
    assert set(edited["auto_map"]) == {
        "AutoConfig",
        "AutoModel",
        "AutoModelForCausalLM",
        "AutoProcessor",
        "AutoImageProcessor",
    }
    assert "top_k_per_layer" not in edited


def test_a_list_of_top_k_is_written_only_when_it_differs_and_the_source_field_stays() -> None:
    edited = edit_config(MOLMOE, REAL_CONFIG, layers=WITHOUT_4_13, top_k=(8, *(4,) * 13))
    assert edited["top_k_per_layer"] == [8, *[4] * 13]
    assert edited["moe_top_k"] == 8


@pytest.mark.parametrize(
    "architecture", [OLMOE, MIXTRAL, QWEN2_MOE, QWEN3_MOE], ids=lambda architecture: architecture.name
)
def test_a_transformers_family_needs_no_code_while_top_k_is_the_sources(architecture: Architecture) -> None:
    config = tiny_config(architecture.name)
    edited = edit_config(architecture, config, layers=(0, 1, 3, 5), top_k=(2, 2, 2, 2))
    assert edited == config | {"num_hidden_layers": 4}


@pytest.mark.parametrize(
    "architecture", [OLMOE, MIXTRAL, QWEN2_MOE, QWEN3_MOE], ids=lambda architecture: architecture.name
)
def test_another_top_k_gives_the_variant_its_own_type(architecture: Architecture) -> None:
    edited = edit_config(architecture, tiny_config(architecture.name), layers=(0, 1, 3, 5), top_k=(2, 1, 1, 1))
    assert edited["model_type"] == f"trimoe_{architecture.name}"
    assert edited["top_k_per_layer"] == [2, 1, 1, 1]
    assert edited["num_experts_per_tok"] == 2
    assert set(edited["auto_map"]) == {"AutoConfig", "AutoModelForCausalLM"}
    assert all(value.startswith("modeling_trimoe_per_layer_top_k.Trimoe") for value in edited["auto_map"].values())


def test_a_dense_family_changes_in_depth_only_and_the_source_is_not_touched() -> None:
    config = tiny_config("llama", auto_map={"AutoModel": "custom.Model"})
    before = json.dumps(config)
    edited = edit_config(LLAMA, config, layers=(0, 2), top_k=None)
    assert json.dumps(config) == before
    assert edited == {key: value for key, value in config.items() if key != "auto_map"} | {"num_hidden_layers": 2}


def test_layer_types_are_sliced() -> None:
    types = ["full_attention", "sliding_attention", "a", "b", "c", "d"]
    edited = edit_config(QWEN2_MOE, tiny_config("qwen2_moe", layer_types=types), layers=(0, 2, 5), top_k=(2, 2, 2))
    assert edited["layer_types"] == ["full_attention", "a", "d"]


def test_missing_layer_types_of_a_windowed_qwen2_are_written_by_transformers_rule() -> None:
    config = tiny_config("qwen2_moe", use_sliding_window=True, max_window_layers=3)
    edited = edit_config(QWEN2_MOE, config, layers=(0, 1, 2, 4), top_k=(2,) * 4)
    assert edited["layer_types"] == ["sliding_attention", "full_attention", "sliding_attention", "full_attention"]
    assert "layer_types" not in edit_config(QWEN2_MOE, tiny_config("qwen2_moe"), layers=(0, 1), top_k=(2, 2))


@pytest.mark.parametrize(
    ("step", "dense", "layers", "expected"),
    [
        (1, [0, 3], (0, 1, 3, 5), [0, 2]),
        (2, [], (0, 1, 2, 3), [0, 2]),
        (2, [1], (1, 3, 4), [0, 2]),
        (1, [3], (0, 1, 2), []),
    ],
)
def test_dense_blocks_are_named_by_their_new_layers(
    step: int, dense: list[int], layers: tuple[int, ...], expected: list[int]
) -> None:
    config = tiny_config("qwen3_moe", decoder_sparse_step=step, mlp_only_layers=dense)
    edited = edit_config(QWEN3_MOE, config, layers=layers, top_k=(2,) * len(layers))
    assert (edited["decoder_sparse_step"], edited["mlp_only_layers"]) == (1, expected)
    source, variant = read_dimensions(QWEN3_MOE, config, file="c"), read_dimensions(QWEN3_MOE, edited, file="c")
    assert variant.sparse == tuple(source.sparse[block] for block in layers)


PER_BLOCK: list[tuple[str, dict[str, Any], str]] = [
    ("olmoe", {"head_counts": [2] * 6}, "head_counts: a list of 6, as long as the model is deep"),
    ("olmoe", {"nested": {"deep": [{"scales": [1.0] * 6}]}}, "nested.deep[0].scales: a list of 6"),
    (
        "olmoe",
        {"layer_types": ["full_attention"] * 5},
        "layer_types: expected a list of 6, one entry per block, found a list of 5",
    ),
    ("olmoe", {"layer_types": "full"}, "layer_types: expected a list of 6, one entry per block, found the string"),
    ("olmoe", {"per_block": {str(i): 1 for i in range(6)}}, "per_block: an object keyed by the 6 block indices"),
    ("olmoe", {"first_k_dense_replace": 1}, "first_k_dense_replace: the number 1 says which blocks are special"),
    ("olmoe", {"moe_layer_end_index": -1}, "moe_layer_end_index"),
    ("olmoe", {"mlp_only_layers": [1]}, "mlp_only_layers"),
    ("olmoe", {"decoder_sparse_step": 2}, "decoder_sparse_step"),
    ("llama", {"no_rope_layers": [1, 0]}, "no_rope_layers"),
    ("llama", {"pruned_heads": {"3": [1]}}, "pruned_heads"),
    ("mixtral", {"full_attention_interval": 4}, "full_attention_interval"),
    ("mixtral", {"interleave_moe_layer_step": 2}, "interleave_moe_layer_step"),
    ("qwen3_moe", {"use_sliding_window": True, "max_window_layers": 3}, "max_window_layers: with use_sliding_window"),
    ("olmoe", {"skip_layers": [1, 5]}, "skip_layers: a list of 2 under a key that speaks of layers"),
    ("olmoe", {"a": [{"moe_layer_ids": [[0, 1], [3]]}]}, "a[0].moe_layer_ids: a list of 2 under a key that speaks"),
    ("llama", {"attn": {"full_idxs": [-1]}}, "attn.full_idxs: a list of 1 under a key that speaks of layers"),
    ("mixtral", {"block_sizes": [2, 2, 2]}, "block_sizes: a list of 3 under a key that speaks of layers"),
    ("olmoe", {"use_block": [True, False]}, "use_block: a list of 2 under a key that speaks of layers"),
    ("olmoe", {"deep": {"layer_types": ["full"] * 5}}, "deep.layer_types: a list of 5 under a key that speaks"),
    ("olmoe", {"deep": {"first_k_dense_replace": 2}}, "deep.first_k_dense_replace: the number 2 says which blocks"),
    ("olmoe", {"memory_every_n_layers": 2}, "memory_every_n_layers: the number 2 says which blocks are special"),
    ("olmoe", {"rank_of": {"1": 8, "4": 16}}, "rank_of: an object keyed by 2 block indices"),
    (
        "olmoe",
        {"quantization_config": {"ignore": ["model.layers.3.mlp.gate"]}},
        '"model.layers.3.mlp.gate" names a block by its index',
    ),
    ("olmoe", {"quantization_config": {"model.layers.3": {"bits": 8}}}, "names a block by its index"),
    ("olmoe", {"quantization_config": {"targets": [r"re:.*layers\.0\..*"]}}, "names a block by its index"),
]


@pytest.mark.parametrize(
    ("name", "fields", "phrase"), PER_BLOCK, ids=[next(iter(fields)) + "-" + name for name, fields, _ in PER_BLOCK]
)
def test_a_field_that_speaks_of_single_blocks_is_refused_by_name(
    name: str, fields: dict[str, Any], phrase: str
) -> None:
    config = tiny_config(name, **fields)
    architecture = find_architecture(config, file="c")
    with pytest.raises(PlanError) as caught:
        edit_config(
            architecture, config, layers=(0, 1), top_k=None if name == "llama" else (2, 2), file="x/config.json"
        )
    assert phrase in str(caught.value)
    assert str(caught.value).startswith("x/config.json: ")
    assert f"architecture {name}" in str(caught.value) or "one entry per block" in str(caught.value)


@pytest.mark.parametrize("fields", [{"layer_types": ["full"] * 5}, {"layer_types": ["full"] * 16}, {"moe_layers": [3]}])
def test_molmoe_has_no_rule_for_types_of_layers(fields: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match=rf"c: {next(iter(fields))}: .*architecture molmoe has no rule for it"):
        check_layer_fields(MOLMOE, REAL_CONFIG | fields, blocks=16, file="c")


@pytest.mark.parametrize("blocks", [2, 8, 16, 24, 32])
@pytest.mark.parametrize("kind", [OlmoeConfig, MixtralConfig, Qwen2MoeConfig, Qwen3MoeConfig, LlamaConfig])
def test_the_default_configs_of_transformers_raise_no_false_alarm(kind: Any, blocks: int) -> None:
    config = json.loads(kind(num_hidden_layers=blocks).to_json_string(use_diff=False))
    architecture = find_architecture(config, file="c")
    check_layer_fields(architecture, config, blocks=blocks, file="c")


@pytest.mark.parametrize("config", [MOLMOE_CONFIG, OLMOE_CONFIG, BENCH_CONFIG, REAL_CONFIG])
def test_the_configs_of_real_models_raise_no_false_alarm(config: dict[str, Any]) -> None:
    architecture = find_architecture(config, file="c")
    check_layer_fields(architecture, config, blocks=16, file="c")


def test_neutral_values_and_lists_of_other_parts_are_left_alone() -> None:
    fields: dict[str, Any] = {
        "first_k_dense_replace": 0,
        "pruned_heads": {},
        "moe_layers": None,
        "interleave_moe_layer_step": 1,
    }
    fields |= {
        "architectures": ["A"] * 6,
        "eos_token_id": [1, 2, 3, 4, 5, 6],
        "rope_scaling": {"short_factor": [1.0] * 6},
    }
    fields |= {"id2label": {str(i): "L" for i in range(6)}}
    config = tiny_config("olmoe", **fields)
    assert edit_config(OLMOE, config, layers=(0, 1), top_k=(2, 2)) == config | {"num_hidden_layers": 2}
    vision = REAL_CONFIG | {"n_layers": 2, "vision_backbone": REAL_CONFIG["vision_backbone"] | {"sizes": [1, 2]}}
    assert edit_config(MOLMOE, vision, layers=(0,), top_k=(8,))["vision_backbone"]["sizes"] == [1, 2]


def test_the_depth_must_fit_the_group_size_of_blocks() -> None:
    with pytest.raises(
        PlanError, match="block_group_size: 14 blocks cannot be kept, the depth must be a multiple of 4"
    ):
        edit_config(MOLMOE, REAL_CONFIG | {"block_group_size": 4}, layers=WITHOUT_4_13, top_k=(8,) * 14)


@pytest.mark.parametrize(
    ("fields", "phrase"),
    [
        ({"num_hidden_layers": None}, "num_hidden_layers: expected an integer, found null"),
        ({"num_hidden_layers": 0}, "num_hidden_layers: 0 is below the least allowed, 1"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers: 1000000000 is above the greatest allowed"),
        ({"num_hidden_layers": True}, "num_hidden_layers: expected an integer, found true"),
        ({"num_experts": 4.0}, "num_experts: expected an integer"),
        ({"num_experts": 0}, "num_experts: 0 is below"),
        ({"num_local_experts": 8}, "num_local_experts: 8, but num_experts says 4"),
        ({"num_experts_per_tok": 5}, "num_experts_per_tok: 5 experts per token, but there are only 4 experts"),
        ({"num_experts_per_tok": [2] * 6}, "num_experts_per_tok: expected an integer, found a list"),
    ],
)
def test_the_shape_of_the_model_must_be_stated_soundly(fields: dict[str, Any], phrase: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_dimensions(OLMOE, tiny_config(**fields), file="x/config.json")
    assert phrase in str(caught.value)


@pytest.mark.parametrize("key", ["num_hidden_layers", "num_experts", "num_experts_per_tok"])
def test_a_missing_field_is_named(key: str) -> None:
    config = {name: value for name, value in tiny_config().items() if name != key}
    with pytest.raises(DocumentError, match=f'the key "{key}" is missing'):
        read_dimensions(OLMOE, config, file="config.json")


def test_blocks_that_are_not_there_cannot_be_dense() -> None:
    with pytest.raises(DocumentError, match=r"mlp_only_layers\[0\]: 6 is above the greatest allowed, 5"):
        read_dimensions(QWEN3_MOE, tiny_config("qwen3_moe", mlp_only_layers=[6]), file="config.json")


HUB_PROCESSOR = {
    "auto_map": {
        "AutoImageProcessor": "image_preprocessing_molmo.MolmoImageProcessor",
        "AutoProcessor": "preprocessing_molmo.MolmoProcessor",
    },
    "image_processor_type": "MolmoImageProcessor",
    "processor_class": "MolmoProcessor",
    "max_crops": 12,
}


@pytest.mark.parametrize("name", ["preprocessor_config.json", "processor_config.json", "tokenizer_config.json"])
def test_processor_files_name_the_classes_that_travel(name: str) -> None:
    edited = parse_document(edit_carried(MOLMOE, name, json.dumps(HUB_PROCESSOR).encode()), file=name).value
    classes = dict(MOLMOE.own_type.auto_map)
    assert edited["auto_map"] == {key: classes[key] for key in ("AutoImageProcessor", "AutoProcessor")}
    assert edited["processor_class"] == "TrimoeMolmoeProcessor"
    assert edited["image_processor_type"] == "TrimoeMolmoeImageProcessor"
    assert edited["max_crops"] == 12


def test_an_image_processor_nested_in_a_processor_is_edited_too() -> None:
    data = json.dumps({"image_processor": HUB_PROCESSOR, "processor_class": "MolmoProcessor"}).encode()
    edited = json.loads(edit_carried(MOLMOE, "processor_config.json", data))
    assert edited["image_processor"]["auto_map"]["AutoProcessor"] == "processing_trimoe_molmoe.TrimoeMolmoeProcessor"
    assert edited["image_processor"]["image_processor_type"] == "TrimoeMolmoeImageProcessor"


def test_other_files_are_carried_byte_for_byte() -> None:
    odd = b'{ "a":1 }\n\n'
    for architecture in ARCHITECTURES:
        assert edit_carried(architecture, "tokenizer.json", b"\xff not even JSON") == b"\xff not even JSON"
        assert edit_carried(architecture, "tokenizer_config.json", odd) == odd


def test_a_reference_to_code_that_does_not_travel_is_dropped() -> None:
    data = json.dumps({"auto_map": {"AutoTokenizer": ["tokenization_x.X", None]}, "a": 1}).encode()
    assert json.loads(edit_carried(OLMOE, "tokenizer_config.json", data)) == {"a": 1}


def test_a_processor_file_that_is_no_object_is_refused() -> None:
    with pytest.raises(DocumentError, match=r"tokenizer_config.json: expected an object"):
        edit_carried(OLMOE, "tokenizer_config.json", b"[]")


def test_a_source_with_the_key_of_a_variant_is_refused() -> None:
    with pytest.raises(
        PlanError, match=r"x/config\.json: top_k_per_layer: a key of trimoe's variants; with a list of 2"
    ):
        edit_config(
            OLMOE, tiny_config() | {"top_k_per_layer": [2, 1]}, layers=(0, 1), top_k=(2, 2), file="x/config.json"
        )
