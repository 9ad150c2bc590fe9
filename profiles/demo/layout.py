"""Configuration files of the demo model: the hub's MolmoE-1B-0924 fields with small values."""

import json
from pathlib import Path
from typing import Any

from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from profiles.demo.words import PAD_TOKEN, save_tokenizer, vocabulary_size

BLOCKS = 16
EMBEDDING_ROWS = 512
PATCH = 4
CROP = 16
POOL = 2
MARGINS = (2, 0)
"""Patches of a crop that its left/upper and right/lower neighbour shows too: a 16 × 32 canvas becomes three overlapping crops."""

_IMAGE_PATCHES = CROP // PATCH

_VISION: dict[str, Any] = {
    "attention_dropout": 0.0,
    "fsdp_wrap": False,
    "image_default_input_size": [CROP, CROP],
    "image_dropout_rate": 0.0,
    "image_emb_dim": 64,
    "image_head_dim": 16,
    "image_mlp_activations": "quick_gelu",
    "image_mlp_dim": 128,
    "image_model_type": "openai",
    "image_norm_eps": 1e-05,
    "image_num_heads": 4,
    "image_num_key_value_heads": 4,
    "image_num_layers": 3,
    "image_num_pos": _IMAGE_PATCHES**2 + 1,
    "image_patch_size": PATCH,
    "image_pos_patch_size": PATCH,
    "initializer_range": 0.02,
    "residual_dropout": 0.0,
    "resize_mode": "default",
}

_MODEL: dict[str, Any] = {
    "auto_map": {"AutoConfig": "config_molmoe.MolmoConfig", "AutoModelForCausalLM": "modeling_molmoe.MolmoForCausalLM"},
    "activation_type": "swiglu",
    "additional_vocab_size": 16,
    "alibi": False,
    "alibi_bias_max": 8.0,
    "always_start_with_space": True,
    "architectures": ["OLMoForCausalLM"],
    "attention_dropout": 0.0,
    "attention_layer_norm": True,
    "attention_layer_norm_with_affine": True,
    "attention_type": "sdpa",
    "attn_logit_softcapping": None,
    "bias_for_layer_norm": False,
    "block_group_size": 1,
    "block_type": "moe",
    "clip_qkv": None,
    "crop_mode": "overlap-and-resize-c2",
    "d_model": 64,
    "default_inference_len": 65,
    "do_random_scale": False,
    "embedding_dropout": 0.0,
    "embedding_size": EMBEDDING_ROWS,
    "final_logit_softcapping": None,
    "fix_image_input_idx": 2,
    "float32_attention": True,
    "gin_bindings": None,
    "head_dim": None,
    "image_feature_dropout": 0.0,
    "image_padding_embed": "pad_and_partial_pad",
    "image_pooling_2d": "attention-meanq",
    "image_pooling_h": POOL,
    "image_pooling_w": POOL,
    "image_projector": "mlp",
    "include_bias": False,
    "init_cutoff_factor": 3.0,
    "init_device": "meta",
    "init_fn": "normal",
    "init_std": 0.02,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-05,
    "layer_norm_type": "rms",
    "layer_norm_with_affine": True,
    "llm_load_path": None,
    "loss_token_weighting": "root_subsegments",
    "low_cpu_fsdp": True,
    "max_crops": 12,
    "max_position_embeddings": 512,
    "max_sequence_length": 512,
    "message_formatting": "role",
    "mlp_hidden_size": 32,
    "mlp_ratio": 1,
    "model_type": "molmo",
    "moe_capacity_factor": 1.25,
    "moe_dropless": True,
    "moe_interleave": False,
    "moe_lbl_in_fp32": False,
    "moe_log_expert_assignment": False,
    "moe_loss_weight": 0.0,
    "moe_mlp_impl": "sparse",
    "moe_num_experts": 64,
    "moe_shared_expert": False,
    "moe_top_k": 8,
    "moe_zloss_weight": 0.0,
    "multi_query_attention": None,
    "n_heads": 4,
    "n_kv_heads": None,
    "n_layers": BLOCKS,
    "new_embedding_init_range": 0.02,
    "norm_after": False,
    "normalize_input_embeds": False,
    "overlap_margins": list(MARGINS),
    "pad_to": None,
    "pad_token_id": 1,
    "pad_tokenizer": False,
    "precision": "fp32",
    "prompt_override": None,
    "prompt_type": "uber_model",
    "qkv_bias": False,
    "query_pre_attn_scalar": 224,
    "residual_dropout": 0.1,
    "response_attention_dropout": 0.0,
    "response_residual_dropout": 0.0,
    "rope": True,
    "rope_full_precision": True,
    "rope_impl": "llama",
    "rope_theta": 10000.0,
    "scale_logits": False,
    "system_prompt_kind": "demo_or_style",
    "transformers_version": "4.45.0.dev0",
    "unconditioned": False,
    "use_cache": True,
    "use_cls_feature": False,
    "use_col_tokens": True,
    "use_position_ids": True,
    "vision_backbone": _VISION,
    "vit_layers": [-1, -2],
    "vit_load_path": None,
    "weight_tying": False,
}

_IMAGE_PROCESSOR: dict[str, Any] = {
    "auto_map": {
        "AutoImageProcessor": "image_preprocessing_molmo.MolmoImageProcessor",
        "AutoProcessor": "preprocessing_molmo.MolmoProcessor",
    },
    "base_image_input_size": [CROP, CROP],
    "do_normalize": True,
    "image_mean": OPENAI_CLIP_MEAN,
    "image_padding_mask": True,
    "image_patch_size": PATCH,
    "image_processor_type": "MolmoImageProcessor",
    "image_std": OPENAI_CLIP_STD,
    "image_token_length_h": _IMAGE_PATCHES // POOL,
    "image_token_length_w": _IMAGE_PATCHES // POOL,
    "max_crops": 12,
    "overlap_margins": list(MARGINS),
    "processor_class": "MolmoProcessor",
}

_PROCESSOR: dict[str, Any] = {"auto_map": {"AutoProcessor": "preprocessing_molmo.MolmoProcessor"}, "processor_class": "MolmoProcessor"}


def write_layout(folder: Path) -> None:
    """Writes every file of the checkpoint folder but the weights: tokenizer, configuration, processors, generation."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = save_tokenizer(folder, EMBEDDING_ROWS)
    end = tokenizer.eos_token_id
    documents = {
        "config.json": dict(sorted((_MODEL | {"vocab_size": vocabulary_size(tokenizer)}).items())),
        "preprocessor_config.json": _IMAGE_PROCESSOR,
        "processor_config.json": _PROCESSOR,
        "generation_config.json": {"bos_token_id": end, "eos_token_id": end, "pad_token_id": tokenizer.convert_tokens_to_ids(PAD_TOKEN)},
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
