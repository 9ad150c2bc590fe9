"""Tiny MolmoE checkpoints with random weights, in the layout of the published one."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from tests.support.checkpoint_files import write_config, write_weights
from tests.support.paths import TEST_DATA

MOLMOE_CONFIG = TEST_DATA / "molmoe-1b" / "config.json"
TINY_MOLMOE: dict[str, Any] = {
    "d_model": 32,
    "n_heads": 4,
    "vocab_size": 120,
    "embedding_size": 128,
    "additional_vocab_size": 16,
    "max_position_embeddings": 512,
    "max_sequence_length": 256,
    "max_crops": 6,
    "overlap_margins": [2, 2],
    "residual_dropout": 0.0,
}
TINY_VISION: dict[str, Any] = {
    "image_default_input_size": [24, 24],
    "image_patch_size": 4,
    "image_pos_patch_size": 4,
    "image_num_pos": 37,
    "image_emb_dim": 24,
    "image_num_heads": 3,
    "image_num_key_value_heads": 3,
    "image_head_dim": 8,
    "image_mlp_dim": 48,
    "image_num_layers": 10,
}

Shapes = Iterator[tuple[str, tuple[int, ...]]]


def tiny_molmoe_config(*, n_layers: int = 6, experts: int = 8, top_k: int = 4, **overrides: Any) -> dict[str, Any]:
    """MolmoE-1B's own config.json with every size scaled down; `vision_backbone` given as a dict is merged into the
    tiny one."""
    config: dict[str, Any] = json.loads(MOLMOE_CONFIG.read_text("utf-8"))
    vision = {**config["vision_backbone"], **TINY_VISION}
    config |= {
        **TINY_MOLMOE,
        "n_layers": n_layers,
        "moe_num_experts": experts,
        "moe_top_k": top_k,
        "vision_backbone": vision,
    }
    if overrides.get("vision_backbone"):
        overrides["vision_backbone"] = {**vision, **overrides["vision_backbone"]}
    return config | overrides


def write_tiny_molmoe(
    folder: Path,
    *,
    seed: int = 0,
    n_layers: int = 6,
    experts: int = 8,
    top_k: int = 4,
    shards: int = 1,
    dtype: torch.dtype = torch.float32,
    **config_overrides: Any,
) -> Path:
    """Write a random MolmoE in the hub's layout: `config.json` (`model_type: molmo`) and one safetensors file, or
    shards with an index."""
    config = tiny_molmoe_config(n_layers=n_layers, experts=experts, top_k=top_k, **config_overrides)
    generator = torch.Generator().manual_seed(seed)
    tensors = {name: _random(name, shape, generator).to(dtype) for name, shape in molmoe_shapes(config)}
    folder.mkdir(parents=True, exist_ok=True)
    write_config(folder, config)
    write_weights(folder, tensors, shards=shards)
    return folder


def molmoe_shapes(config: dict[str, Any]) -> Shapes:
    """Every tensor of a MolmoE checkpoint with its shape."""
    width, root = config["d_model"], "model.transformer"
    rows = config["embedding_size"] or config["vocab_size"]
    yield f"{root}.wte.embedding", (rows, width)
    yield f"{root}.wte.new_embedding", (config["additional_vocab_size"], width)
    for block in range(config["n_layers"]):
        yield from _block_shapes(config, f"{root}.blocks.{block}")
    yield f"{root}.ln_f.weight", (width,)
    if not config["weight_tying"]:
        yield "lm_head.weight", (rows, width)
    if config["vision_backbone"] is not None:
        yield from _connector_shapes(config)
        yield from _tower_shapes(config["vision_backbone"])


def _hidden(config: dict[str, Any]) -> int:
    return (config["mlp_hidden_size"] or config["mlp_ratio"] * config["d_model"]) // 2


def _block_shapes(config: dict[str, Any], root: str) -> Shapes:
    width, hidden = config["d_model"], _hidden(config)
    head = config["head_dim"] or width // config["n_heads"]
    query, key = config["n_heads"] * head, (config["n_kv_heads"] or config["n_heads"]) * head
    yield f"{root}.attn.att_proj.weight", (query + 2 * key, width)
    if config["qkv_bias"]:
        yield f"{root}.attn.att_proj.bias", (query + 2 * key,)
    yield f"{root}.attn.attn_out.weight", (width, query)
    yield f"{root}.attn.attn_norm.weight", (width,)
    yield f"{root}.attn.q_norm.weight", (query,)
    yield f"{root}.attn.k_norm.weight", (key,)
    yield f"{root}.mlp.ff_norm.weight", (width,)
    yield f"{root}.mlp.gate.weight", (config["moe_num_experts"], width)
    for expert in range(config["moe_num_experts"]):
        yield f"{root}.mlp.experts.{expert}.gate_proj.weight", (hidden, width)
        yield f"{root}.mlp.experts.{expert}.up_proj.weight", (hidden, width)
        yield f"{root}.mlp.experts.{expert}.down_proj.weight", (width, hidden)


def _connector_shapes(config: dict[str, Any]) -> Shapes:
    vision, root = config["vision_backbone"], "model.vision_backbone"
    layers = len(config["vit_layers"] or [-1])
    pooled = width = vision["image_emb_dim"] * layers
    if config["image_padding_embed"] is not None:
        yield f"{root}.pad_embed", (2, width) if config["image_padding_embed"] == "pad_and_partial_pad" else (width,)
    if config["image_pooling_2d"].startswith("attention"):
        yield from _attention_shapes(vision, f"{root}.image_pooling_2d", width)
        pooled = vision["image_emb_dim"]
    elif config["image_pooling_2d"] == "stack":
        pooled = width * config["image_pooling_h"] * config["image_pooling_w"]
    if config["image_projector"] == "linear":
        yield f"{root}.image_projector.weight", (config["d_model"], pooled)
        return
    yield f"{root}.image_projector.w1.weight", (_hidden(config), pooled)
    yield f"{root}.image_projector.w3.weight", (_hidden(config), pooled)
    yield f"{root}.image_projector.w2.weight", (config["d_model"], _hidden(config))


def _attention_shapes(vision: dict[str, Any], root: str, width: int) -> Shapes:
    query = vision["image_num_heads"] * vision["image_head_dim"]
    key = vision["image_num_key_value_heads"] * vision["image_head_dim"]
    for name, shape in (
        ("wq", (query, width)),
        ("wk", (key, width)),
        ("wv", (key, width)),
        ("wo", (vision["image_emb_dim"], query)),
    ):
        yield f"{root}.{name}.weight", shape
        yield f"{root}.{name}.bias", shape[:1]


def _tower_shapes(vision: dict[str, Any]) -> Shapes:
    root, width, hidden = "model.vision_backbone.image_vit", vision["image_emb_dim"], vision["image_mlp_dim"]
    yield f"{root}.class_embedding", (width,)
    yield f"{root}.positional_embedding", (vision["image_num_pos"], width)
    yield f"{root}.patch_embedding.weight", (width, 3 * vision["image_patch_size"] ** 2)
    for part in ("weight", "bias"):
        yield f"{root}.pre_ln.{part}", (width,)
    for index in range(vision["image_num_layers"]):
        block = f"{root}.transformer.resblocks.{index}"
        yield from _attention_shapes(vision, f"{block}.attention", width)
        for name, shape in (("w1", (hidden, width)), ("w2", (width, hidden))):
            yield f"{block}.feed_forward.{name}.weight", shape
            yield f"{block}.feed_forward.{name}.bias", shape[:1]
        for name in ("attention_norm", "ffn_norm"):
            for part in ("weight", "bias"):
                yield f"{block}.{name}.{part}", (width,)


def _random(name: str, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Random values on the scale that keeps activations near 1, so that every tensor matters to the logits."""
    noise = torch.randn(shape, generator=generator)
    if "norm." in name or "_ln." in name or "ln_f" in name:
        return 0.1 * noise + (1.0 if name.endswith("weight") else 0.0)
    if len(shape) == 1:
        return 0.1 * noise
    if "embedding" in name or "pad_embed" in name:
        return 0.5 * noise
    scale = 2.0 if name.endswith("gate.weight") else 1.0
    return scale * noise / shape[1] ** 0.5
