"""MolmoE's configuration: the hub's own file, the list of top_k, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from runtime.modeling.configuration_trimoe_molmoe import TrimoeMolmoeConfig
from runtime.modeling.modeling_trimoe_molmoe import TrimoeMolmoeForCausalLM
from tests.support.tiny_molmoe import MOLMOE_CONFIG, molmoe_shapes, tiny_molmoe_config

REAL: dict[str, Any] = json.loads(MOLMOE_CONFIG.read_text("utf-8"))


def build(**changes: Any) -> TrimoeMolmoeConfig:
    values = {key: value for key, value in REAL.items() if key not in ("model_type", "auto_map", "architectures")}
    return TrimoeMolmoeConfig(**(values | changes))


def test_the_hubs_config_is_read_without_a_warning_and_every_field_survives_a_round_trip(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = TrimoeMolmoeConfig.from_pretrained(MOLMOE_CONFIG.parent)
    config.top_k_per_layer = [8] + [4] * 15
    config.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text("utf-8"))
    ours = {"model_type", "auto_map", "architectures", "transformers_version"}
    assert {key: saved[key] for key in REAL if key not in ours} == {
        key: value for key, value in REAL.items() if key not in ours
    }
    assert saved["model_type"] == "trimoe_molmoe"
    assert saved["auto_map"] == {"AutoConfig": "configuration_trimoe_molmoe.TrimoeMolmoeConfig"}
    again = TrimoeMolmoeConfig.from_pretrained(tmp_path)
    assert again.top_k_per_layer == [8] + [4] * 15
    assert again.to_dict() == config.to_dict()
    assert not caplog.records


def test_transformers_names_reach_the_hubs_fields() -> None:
    config = build(n_kv_heads=4)
    assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads, config.num_key_value_heads) == (
        16,
        2048,
        16,
        4,
    )
    assert (config.num_experts, config.num_experts_per_tok, config.intermediate_size, config.tie_word_embeddings) == (
        64,
        8,
        1024,
        False,
    )


def test_the_real_model_has_the_real_number_of_tensors_and_parameters() -> None:
    with torch.device("meta"):
        model = TrimoeMolmoeForCausalLM(build())
    assert sum(parameter.numel() for parameter in model.parameters()) == 7_221_875_712
    assert len(list(molmoe_shapes(REAL))) == 3_573
    fused = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    plain = {name: shape for name, shape in molmoe_shapes(REAL) if ".experts." not in name}
    assert plain == {name: shape for name, shape in fused.items() if ".experts." not in name}


def test_without_a_list_every_layer_uses_moe_top_k() -> None:
    assert build().layer_top_k == (8,) * 16
    assert build(n_layers=3, top_k_per_layer=[8, 1, 64]).layer_top_k == (8, 1, 64)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([8] * 15, "config.top_k_per_layer has 15 values, the model has 16 layers"),
        ([8] * 15 + [0], r"config.top_k_per_layer\[15\] is 0; supported: 1 to 64 \(moe_num_experts\)"),
        ([65] + [8] * 15, r"config.top_k_per_layer\[0\] is 65; supported: 1 to 64"),
        ([8] * 15 + [True], r"config.top_k_per_layer\[15\] is True"),
        ([8] * 15 + [4.0], r"config.top_k_per_layer\[15\] is 4.0"),
        ("8", "config.top_k_per_layer is '8'; supported: null or a list of 16 integers"),
    ],
)
def test_a_wrong_list_of_top_k_names_the_place(values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(top_k_per_layer=values)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"block_type": "sequential"}, "config.block_type is 'sequential'; supported: 'moe'"),
        ({"block_group_size": 2}, "config.block_group_size is 2; supported: 1"),
        ({"activation_type": "gelu"}, "config.activation_type is 'gelu'; supported: 'swiglu'"),
        ({"layer_norm_type": "default"}, "config.layer_norm_type is 'default'; supported: 'rms'"),
        ({"attention_layer_norm": False}, "config.attention_layer_norm is False; supported: True"),
        ({"attention_layer_norm": 1}, "config.attention_layer_norm is 1; supported: True"),
        ({"norm_after": True}, "config.norm_after is True; supported: False"),
        ({"alibi": True}, "config.alibi is True; supported: False"),
        ({"rope": False}, "config.rope is False; supported: True"),
        ({"rope_impl": "cockatoo"}, "config.rope_impl is 'cockatoo'; supported: 'llama'"),
        ({"include_bias": True}, "config.include_bias is True; supported: False"),
        ({"attn_logit_softcapping": 50.0}, "config.attn_logit_softcapping is 50.0; supported: None"),
        ({"final_logit_softcapping": 30.0}, "config.final_logit_softcapping is 30.0; supported: None"),
        ({"scale_logits": True}, "config.scale_logits is True; supported: False"),
        ({"normalize_input_embeds": True}, "config.normalize_input_embeds is True; supported: False"),
        ({"use_position_ids": False}, "config.use_position_ids is False; supported: True"),
        ({"moe_shared_expert": True}, "config.moe_shared_expert is True; supported: False, None"),
        ({"moe_interleave": True}, "config.moe_interleave is True; supported: False, None"),
        ({"moe_dropless": False}, "config.moe_dropless is False; supported: True"),
        ({"use_cls_feature": True}, "config.use_cls_feature is True; supported: False"),
        (
            {"image_pooling_2d": "attention-2wide"},
            "config.image_pooling_2d is 'attention-2wide'; supported: 'attention-meanq'",
        ),
        ({"image_projector": "2mlp"}, "config.image_projector is '2mlp'; supported: 'mlp', 'linear'"),
        ({"image_padding_embed": "zero"}, "config.image_padding_embed is 'zero'"),
        ({"crop_mode": "patchify-and-resize"}, "config.crop_mode is 'patchify-and-resize'"),
        ({"moe_top_k": 65}, r"config.moe_top_k is 65; supported: 1 to 64 \(moe_num_experts\)"),
        ({"n_layers": 0}, "config.n_layers is 0; supported: a positive integer"),
        ({"n_heads": 2.0}, "config.n_heads is 2.0; supported: a positive integer"),
        ({"n_heads": 12}, "config.d_model is 2048, not a multiple of n_heads 12: set head_dim"),
        ({"n_kv_heads": 5}, "config.n_kv_heads is 5, which does not divide n_heads 16"),
        ({"head_dim": 7}, "the width of a head is 7"),
        ({"mlp_hidden_size": 33}, "the MLP hidden size is 33"),
        ({"embedding_size": 50000}, "config.embedding_size is 50000, less than vocab_size 50280"),
        ({"additional_vocab_size": None}, "config.additional_vocab_size is None; supported: a positive integer"),
        ({"clip_qkv": -1.0}, "config.clip_qkv is -1.0; supported: a number above 0.0"),
        ({"residual_dropout": 1.0}, "config.residual_dropout is 1.0; supported: a number from 0.0 to below 1.0"),
        ({"weight_tying": "no"}, "config.weight_tying is 'no'; supported: True, False"),
        ({"vit_layers": [-24]}, r"config.vit_layers is \[-24\]; supported: null or a list of integers from -23 to 22"),
        ({"vit_layers": []}, r"config.vit_layers is \[\]"),
        ({"image_pooling_2d": "none"}, "config.image_pooling_2d is 'none' with a window of 2x2; supported: 1x1"),
        ({"image_pooling_h": 25}, "config.image_pooling_h/w is 25x2, larger than the 24x24 patches of a crop"),
        ({"norm_topk_prob": 0}, "config.norm_topk_prob is 0; supported: False, None"),
        ({"intermediate_size": 2048}, "config.intermediate_size is 2048; supported: 1024, None"),
        ({"vision_backbone": "clip"}, "config.vision_backbone is 'clip'; supported: null or an object"),
    ],
)
def test_a_field_that_is_not_computed_is_refused_by_name_value_and_what_is_supported(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_model_type": "siglip"}, "config.vision_backbone.image_model_type is 'siglip'; supported: 'openai'"),
        ({"resize_mode": "siglip"}, "config.vision_backbone.resize_mode is 'siglip'; supported: 'default'"),
        ({"image_mlp_activations": "swish?"}, "config.vision_backbone.image_mlp_activations is 'swish\\?'"),
        ({"image_num_layers": 0}, "config.vision_backbone.image_num_layers is 0; supported: a positive integer"),
        (
            {"image_default_input_size": [336, 330]},
            r"config.vision_backbone.image_default_input_size is \[336, 330\], not whole patches of 14",
        ),
        ({"image_default_input_size": 336}, "config.vision_backbone.image_default_input_size is 336"),
        ({"image_num_pos": 578}, r"config.vision_backbone.image_num_pos is 578; supported: 1 \+ a square number"),
        (
            {"image_num_key_value_heads": 3},
            "config.vision_backbone.image_num_key_value_heads is 3, which does not divide image_num_heads 16",
        ),
    ],
)
def test_a_vision_field_that_is_not_computed_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(vision_backbone=REAL["vision_backbone"] | changes)


@pytest.mark.parametrize(
    "computed", [{"norm_topk_prob": False}, {"norm_topk_prob": None}, {"intermediate_size": 1024, "hidden_act": "silu"}]
)
def test_a_field_that_follows_from_others_may_be_stated(computed: dict[str, Any], tmp_path: Path) -> None:
    config = build(**computed)
    assert config.norm_topk_prob is False
    config.save_pretrained(tmp_path)
    assert TrimoeMolmoeConfig.from_pretrained(tmp_path).intermediate_size == 1024


def test_a_config_that_wants_renormalised_experts_is_refused_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match=r"^config.norm_topk_prob is True; supported: False, None$"):
        build(norm_topk_prob=True)
    assert not caplog.records


def test_an_assignment_that_does_not_fit_is_refused_on_saving(tmp_path: Path) -> None:
    config = build()
    config.top_k_per_layer = [8] * 3
    with pytest.raises(ValueError, match="has 3 values, the model has 16 layers"):
        config.save_pretrained(tmp_path)


def test_a_dense_molmo_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(tiny_molmoe_config() | {"block_type": "llama"}), "utf-8")
    with pytest.raises(ValueError, match=r"config.block_type is 'llama'"):
        TrimoeMolmoeConfig.from_pretrained(tmp_path)
