"""Tiny random models of the transformers families, saved by transformers itself, and the masked originals their
variants must equal."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, PreTrainedModel

from runtime.modeling.configuration_trimoe_molmoe import TrimoeMolmoeConfig
from runtime.modeling.modeling_trimoe_molmoe import TrimoeMolmoeForCausalLM
from tests.support.paths import MODELING

BLOCKS, EXPERTS, VOCABULARY = 5, 8, 96
_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
CLASSES = {"olmoe": "Olmoe", "mixtral": "Mixtral", "qwen2_moe": "Qwen2Moe", "qwen3_moe": "Qwen3Moe", "llama": "Llama"}
# What makes each family interesting: shared experts, dense blocks, sliding windows, renormalised weights, grouped
# queries.
TINY: dict[str, dict[str, Any]] = {
    "olmoe": {"num_experts": EXPERTS, "num_experts_per_tok": 4},
    "mixtral": {"num_local_experts": EXPERTS, "num_experts_per_tok": 2, "sliding_window": 6},
    "qwen2_moe": {
        "num_experts": EXPERTS,
        "num_experts_per_tok": 4,
        "moe_intermediate_size": 16,
        "shared_expert_intermediate_size": 24,
        "mlp_only_layers": [1],
        "use_sliding_window": True,
        "sliding_window": 5,
        "max_window_layers": 4,
    },
    "qwen3_moe": {
        "num_experts": EXPERTS,
        "num_experts_per_tok": 4,
        "moe_intermediate_size": 16,
        "head_dim": 8,
        "norm_topk_prob": True,
        "mlp_only_layers": [3],
    },
    "llama": {},
}
EXPERT_FAMILIES = tuple(family for family in TINY if family != "llama")


def write_transformers(
    family: str, folder: Path, *, dtype: torch.dtype = torch.float32, max_shard_size: str = "40KB", **overrides: Any
) -> Path:
    """Save a tiny model of `family` in several shards; the same arguments give the same weights."""
    model = random_model(family, _SIZES | TINY[family] | overrides, seed=1)
    model.to(dtype).save_pretrained(folder, max_shard_size=max_shard_size)
    return folder


def random_model(family: str, fields: dict[str, Any], *, seed: int) -> PreTrainedModel:
    """A model of `family` with these fields of its config, its weights drawn by transformers."""
    torch.manual_seed(seed)
    config = getattr(transformers, f"{CLASSES[family]}Config")(**fields)
    model: PreTrainedModel = getattr(transformers, f"{CLASSES[family]}ForCausalLM")(config)
    return model


def whole_model(architecture: str, folder: Path) -> PreTrainedModel:
    """The model of a source folder, MolmoE in the hub's layout included."""
    if architecture == "molmoe":
        return TrimoeMolmoeForCausalLM.from_pretrained(folder, config=TrimoeMolmoeConfig.from_pretrained(folder))
    return AutoModelForCausalLM.from_pretrained(folder)


def masked_original(
    model: PreTrainedModel, layers: Sequence[int], top_k: Sequence[int] | None, *, path: str = "model.layers"
) -> PreTrainedModel:
    """`model` with only the blocks `layers`, each routing to its own number of experts: what a variant must equal.
    Changes the model."""
    parent, _, leaf = path.rpartition(".")
    blocks = model.get_submodule(path)
    kept = torch.nn.ModuleList([blocks[block] for block in layers])
    setattr(model.get_submodule(parent), leaf, kept)
    config = model.config
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[block] for block in layers]
    config.num_hidden_layers = len(layers)
    for layer, block in enumerate(kept):
        attention = getattr(block, "self_attn", None) or block.attn
        attention.layer_idx = layer
        if top_k is not None and hasattr(block.mlp, "gate"):
            block.mlp.gate.top_k = top_k[layer]
    return model.eval()


def write_with_list(source: Path, folder: Path, family: str, top_k: Sequence[Any] | None) -> Path:
    """The whole model of `source` as a checkpoint whose config carries `top_k_per_layer`, with its modeling file, as an
    export writes it."""
    name = CLASSES[family]
    folder.mkdir()
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    module = "modeling_trimoe_per_layer_top_k"
    code = MODELING / f"{module}.py"
    (folder / code.name).write_bytes(code.read_bytes())
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config |= {
        "model_type": f"trimoe_{family}",
        "architectures": [f"Trimoe{name}ForCausalLM"],
        "auto_map": {
            "AutoConfig": f"{module}.Trimoe{name}Config",
            "AutoModelForCausalLM": f"{module}.Trimoe{name}ForCausalLM",
        },
    }
    if top_k is not None:
        config["top_k_per_layer"] = list(top_k)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return folder
