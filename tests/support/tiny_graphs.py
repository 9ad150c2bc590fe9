"""Tiny random models of every family, the graphs of their variants, and the masked model in transformers to compare
them with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    OlmoeConfig,
    OlmoeForCausalLM,
    PreTrainedModel,
    Qwen2MoeConfig,
    Qwen2MoeForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

from exporter.checkpoint.checkpoint import open_checkpoint
from exporter.evidence.evidence import ExplicitRemovals
from exporter.family.variant_folder import FamilyFiles
from exporter.graphs.graph_set import GraphSource, read_source
from exporter.graphs.weights.precision import find_precision
from exporter.graphs.write_graphs import write_data, write_graphs
from exporter.plan.make_plan import make_plan
from exporter.plan.plan import Plan, PlannedVariant
from exporter.plan.request import PlanRequest
from runtime.documents.family_layout import graph_path
from runtime.engines.onnx.decoder import OnnxDecoder
from runtime.engines.onnx.session import open_session

BASE: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 128,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 1e4,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
QWEN2 = {"mlp_only_layers": [1], "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 2}
CASES: dict[str, tuple[type[Any], type[PreTrainedModel], dict[str, Any]]] = {
    "olmoe": (OlmoeConfig, OlmoeForCausalLM, {"intermediate_size": 32, "num_experts": 8, "num_experts_per_tok": 4}),
    "olmoe clipped": (
        OlmoeConfig,
        OlmoeForCausalLM,
        {"intermediate_size": 32, "num_experts": 8, "num_experts_per_tok": 4, "clip_qkv": 0.5, "norm_topk_prob": True},
    ),
    "mixtral": (
        MixtralConfig,
        MixtralForCausalLM,
        {"intermediate_size": 32, "num_local_experts": 8, "num_experts_per_tok": 4, "sliding_window": 5},
    ),
    "qwen2_moe": (
        Qwen2MoeConfig,
        Qwen2MoeForCausalLM,
        {
            "intermediate_size": 48,
            "moe_intermediate_size": 32,
            "shared_expert_intermediate_size": 40,
            "num_experts": 8,
            "num_experts_per_tok": 4,
            **QWEN2,
        },
    ),
    "qwen3_moe": (
        Qwen3MoeConfig,
        Qwen3MoeForCausalLM,
        {
            "head_dim": 32,
            "intermediate_size": 48,
            "moe_intermediate_size": 32,
            "num_experts": 8,
            "num_experts_per_tok": 4,
            "norm_topk_prob": True,
            "tie_word_embeddings": True,
        },
    ),
    "llama": (
        LlamaConfig,
        LlamaForCausalLM,
        {"intermediate_size": 48, "attention_bias": True, "mlp_bias": True, "rope_parameters": LLAMA3},
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """A family of graphs written below `folder`."""

    folder: Path
    plan: Plan
    source: GraphSource
    precision: str

    def path(self, name: str) -> Path:
        return self.folder / graph_path(self.precision, name)

    def decoder(self, variant: PlannedVariant) -> OnnxDecoder:
        return OnnxDecoder(quiet_session(self.path(variant.id)))


def quiet_session(path: Path) -> Any:
    """A session that leaves the other core alone."""
    return open_session(path, threads=1, spinning=False)


def write_model(folder: Path, case: str, *, seed: int = 0, **overrides: Any) -> PreTrainedModel:
    """A random model of a case, written to `folder` as transformers writes it; its norms are not all ones."""
    config_class, model_class, options = CASES[case]
    torch.manual_seed(seed)
    model = model_class(config_class(**{**BASE, **options, **overrides})).eval()
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            parameter.data.normal_(0.0 if name.endswith("bias") else 1.0, 0.1)
        else:
            parameter.data.mul_(4.0)
    model.save_pretrained(folder)
    return model


def export_graphs(
    source: Path,
    folder: Path,
    *,
    removed: tuple[int, ...],
    top_k: int | tuple[int, ...] | None,
    precision: str = "float32",
) -> Exported:
    """The graphs of one variant of the checkpoint at `source`, written below `folder`; `top_k` may be one for each
    source block."""
    checkpoint = open_checkpoint(source)
    chosen = ExplicitRemovals(sets=(removed,))
    top_ks = (top_k,) if isinstance(top_k, int) else None
    request = PlanRequest(chosen=chosen, top_ks=top_ks, top_k_list=top_k if isinstance(top_k, tuple) else None)
    plan = make_plan(checkpoint, request=request)
    found, kind = read_source(plan), find_precision(precision)
    folder.mkdir()
    files = FamilyFiles(folder)
    files.add_shard(write_data(found, plan, kind, folder, lambda _: None))
    write_graphs(found, plan, kind, files, auxiliary={})
    return Exported(folder=folder, plan=plan, source=found, precision=precision)


def mask_blocks(model: PreTrainedModel, variant: PlannedVariant) -> PreTrainedModel:
    """Turn the whole model into the variant, in memory: blocks taken out, top_k set."""
    layers = model.model.layers
    kept = torch.nn.ModuleList([layers[block] for block in variant.layers])
    for index, layer in enumerate(kept):
        layer.self_attn.layer_idx = index
        if variant.top_k is not None and hasattr(layer.mlp, "gate"):
            layer.mlp.gate.top_k = variant.top_k[index]
    model.model.layers = kept
    model.config.num_hidden_layers = len(kept)
    if getattr(model.config, "layer_types", None):
        model.config.layer_types = [model.config.layer_types[block] for block in variant.layers]
    return model


@torch.no_grad()
def reference_logits(model: PreTrainedModel, row: list[int]) -> np.ndarray:
    """The logits [length, vocabulary] of one unpadded row, without a cache."""
    return model(torch.tensor([row]), use_cache=False).logits[0].numpy()
