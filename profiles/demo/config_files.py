"""Configuration files of the demo model: the hub's MolmoE-1B-0924 fields with small values."""

import json
from pathlib import Path
from typing import Any

from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from exporter.synth.configs import MOLMOE_CONFIG
from profiles.demo.words import PAD_TOKEN, save_tokenizer, vocabulary_size

BLOCKS = 16
EMBEDDING_ROWS = 512
PATCH = 4
CROP = 16
POOL = 2
MARGINS = (2, 0)
"""Patches of a crop that its left/upper and right/lower neighbour shows too: a 16 × 32 canvas becomes three
overlapping crops."""

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
    **MOLMOE_CONFIG,
    "additional_vocab_size": 16,
    "d_model": 64,
    "embedding_size": EMBEDDING_ROWS,
    "max_position_embeddings": 512,
    "max_sequence_length": 512,
    "mlp_hidden_size": 32,
    "n_heads": 4,
    "overlap_margins": list(MARGINS),
    "precision": "fp32",
    "vision_backbone": _VISION,
    "vit_layers": [-1, -2],
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

_PROCESSOR: dict[str, Any] = {
    "auto_map": {"AutoProcessor": "preprocessing_molmo.MolmoProcessor"},
    "processor_class": "MolmoProcessor",
}


def write_layout(folder: Path) -> None:
    """Writes every file of the checkpoint folder but the weights: tokenizer, configuration, processors, generation."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = save_tokenizer(folder, EMBEDDING_ROWS)
    end = tokenizer.eos_token_id
    documents = {
        "config.json": dict(sorted((_MODEL | {"vocab_size": vocabulary_size(tokenizer)}).items())),
        "preprocessor_config.json": _IMAGE_PROCESSOR,
        "processor_config.json": _PROCESSOR,
        "generation_config.json": {
            "bos_token_id": end,
            "eos_token_id": end,
            "pad_token_id": tokenizer.convert_tokens_to_ids(PAD_TOKEN),
        },
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
