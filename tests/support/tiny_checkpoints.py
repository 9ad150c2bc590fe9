"""Tiny checkpoints of the transformers families, written without torch: no model runs them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.checkpoint_files import write_config, write_weights

HIDDEN, HEADS, VOCAB, WIDTH = 16, 2, 40, 8
EXPERTS_KEY = {
    "olmoe": "num_experts",
    "mixtral": "num_local_experts",
    "qwen2_moe": "num_experts",
    "qwen3_moe": "num_experts",
}
Tensors = dict[str, "np.ndarray[Any, Any]"]
Shapes = Iterator[tuple[str, tuple[int, ...]]]


def tiny_config(
    family: str = "olmoe", *, blocks: int = 6, experts: int = 4, top_k: int = 2, **overrides: Any
) -> dict[str, Any]:
    """A config.json of the family with every size small."""
    config: dict[str, Any] = {
        "architectures": ["TinyForCausalLM"],
        "model_type": family,
        "vocab_size": VOCAB,
        "hidden_size": HIDDEN,
        "intermediate_size": WIDTH,
        "num_hidden_layers": blocks,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "hidden_act": "silu",
        "max_position_embeddings": 64,
        "rms_norm_eps": 1e-05,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "pad_token_id": 1,
        "eos_token_id": 2,
    }
    if family in EXPERTS_KEY:
        config |= {EXPERTS_KEY[family]: experts, "num_experts_per_tok": top_k}
    if family.startswith("qwen"):
        config |= {
            "moe_intermediate_size": WIDTH,
            "decoder_sparse_step": 1,
            "mlp_only_layers": [],
            "use_sliding_window": False,
        }
    if family == "qwen2_moe":
        config |= {"shared_expert_intermediate_size": WIDTH, "max_window_layers": 28}
    return config | overrides


def tiny_shapes(config: Mapping[str, Any]) -> Shapes:
    """Name and shape of every tensor of such a config, in the order of the layers."""
    yield "model.embed_tokens.weight", (VOCAB, HIDDEN)
    for block in range(config["num_hidden_layers"]):
        for rest, shape in block_shapes(config, block):
            yield f"model.layers.{block}.{rest}", shape
    yield "model.norm.weight", (HIDDEN,)
    yield "lm_head.weight", (VOCAB, HIDDEN)


def block_shapes(config: Mapping[str, Any], block: int) -> Shapes:
    """What follows a block's prefix, and the shape, for each of its tensors."""
    family = config["model_type"]
    yield "input_layernorm.weight", (HIDDEN,)
    yield "post_attention_layernorm.weight", (HIDDEN,)
    for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
        yield f"self_attn.{name}.weight", (HIDDEN, HIDDEN)
        if family == "qwen2_moe" and name != "o_proj":
            yield f"self_attn.{name}.bias", (HIDDEN,)
    if family in ("olmoe", "qwen3_moe"):
        width = HIDDEN if family == "olmoe" else HIDDEN // HEADS
        yield from ((f"self_attn.{name}.weight", (width,)) for name in ("q_norm", "k_norm"))
    yield from _mlp_shapes(config, block)


def _mlp_shapes(config: Mapping[str, Any], block: int) -> Shapes:
    family = config["model_type"]
    dense = block in (config.get("mlp_only_layers") or []) or (block + 1) % config.get("decoder_sparse_step", 1) != 0
    if family == "llama" or dense:
        yield from _projections("mlp.", ("gate_proj", "up_proj", "down_proj"))
        return
    prefix = "block_sparse_moe." if family == "mixtral" else "mlp."
    names = ("w1", "w3", "w2") if family == "mixtral" else ("gate_proj", "up_proj", "down_proj")
    experts = config[EXPERTS_KEY[family]]
    yield f"{prefix}gate.weight", (experts, HIDDEN)
    for expert in range(experts):
        yield from _projections(f"{prefix}experts.{expert}.", names)
    if family == "qwen2_moe":
        yield from _projections("mlp.shared_expert.", names)
        yield "mlp.shared_expert_gate.weight", (1, HIDDEN)


def _projections(prefix: str, names: tuple[str, str, str]) -> Shapes:
    for name, shape in zip(names, ((WIDTH, HIDDEN), (WIDTH, HIDDEN), (HIDDEN, WIDTH)), strict=True):
        yield f"{prefix}{name}.weight", shape


def tiny_tensors(config: Mapping[str, Any], *, seed: int = 0) -> Tensors:
    """Random float32 tensors for every shape."""
    generator = np.random.default_rng(seed)
    return {
        name: generator.standard_normal(shape, dtype=np.float32) * np.float32(0.1)
        for name, shape in tiny_shapes(config)
    }


def write_checkpoint(folder: Path, family: str = "olmoe", *, seed: int = 0, shards: int = 1, **options: Any) -> Path:
    """Write config.json and weights of a family; `options` go to `tiny_config`."""
    config = tiny_config(family, **options)
    folder.mkdir(parents=True, exist_ok=True)
    write_config(folder, config)
    write_weights(folder, tiny_tensors(config, seed=seed), shards=shards)
    return folder
