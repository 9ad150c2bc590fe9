"""MolmoE's decoder: OLMoE's mathematics under the hub's parameter names, one top_k per layer."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers.cache_utils import Cache
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.olmoe.modeling_olmoe import (
    OlmoeExperts,
    OlmoeRMSNorm,
    OlmoeTopKRouter,
    apply_rotary_pos_emb,
    eager_attention_forward,
)

from .configuration_trimoe_molmoe import TrimoeMolmoeConfig


class TrimoeMolmoeEmbedding(nn.Module):
    """Token embeddings in two tables: the language model's, and the tokens added for images."""

    def __init__(self, config: TrimoeMolmoeConfig) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(config.output_size, config.d_model))
        self.new_embedding = nn.Parameter(torch.empty(config.additional_vocab_size, config.d_model))

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Look up ids [batch, length]; ids from the first table's length on are in the second. Two lookups: joining
        copies both tables."""
        size = self.embedding.shape[0]
        old = F.embedding(input_ids.clamp(max=size - 1), self.embedding)
        new = F.embedding((input_ids - size).clamp(min=0), self.new_embedding)
        return torch.where((input_ids < size).unsqueeze(-1), old, new)


class TrimoeMolmoeAttention(nn.Module):
    """Causal attention: one fused projection, RMS norms over the whole query and key widths, rotary positions."""

    def __init__(self, config: TrimoeMolmoeConfig, layer_idx: int) -> None:
        super().__init__()
        self.config = config
        self.layer_idx = layer_idx
        self.head_dim = config.attention_head_dim
        self.num_key_value_groups = config.n_heads // config.num_key_value_heads
        self.scaling = self.head_dim**-0.5
        self.is_causal = True
        query_dim, key_dim = config.n_heads * self.head_dim, config.num_key_value_heads * self.head_dim
        self.widths = (query_dim, key_dim, key_dim)
        self.attn_norm = OlmoeRMSNorm(config.d_model, eps=config.layer_norm_eps)
        self.att_proj = nn.Linear(config.d_model, sum(self.widths), bias=config.qkv_bias)
        self.q_norm = OlmoeRMSNorm(query_dim, eps=config.layer_norm_eps)
        self.k_norm = OlmoeRMSNorm(key_dim, eps=config.layer_norm_eps)
        self.attn_out = nn.Linear(query_dim, config.d_model, bias=False)

    def forward(
        self,
        hidden_states: torch.Tensor,
        position_embeddings: tuple[torch.Tensor, torch.Tensor],
        attention_mask: torch.Tensor | None,
        past_key_values: Cache | None = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Attend over [batch, length, d_model] and the cache; returns the same shape and the weights where the
        implementation has them."""
        projected = self.att_proj(self.attn_norm(hidden_states))
        if self.config.clip_qkv is not None:
            projected = projected.clamp(-self.config.clip_qkv, self.config.clip_qkv)
        query, key, value = projected.split(self.widths, dim=-1)
        query, key, value = (
            states.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for states in (self.q_norm(query), self.k_norm(key), value)
        )
        query, key = (states.to(value.dtype) for states in apply_rotary_pos_emb(query, key, *position_embeddings))
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.layer_idx)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention_forward)
        dropout = self.config.attention_dropout if self.training else 0.0
        mixed, weights = attend(
            self, query, key, value, attention_mask, dropout=dropout, scaling=self.scaling, **kwargs
        )
        return self.attn_out(mixed.flatten(2)), weights


class TrimoeMolmoeSparseMLP(nn.Module):
    """Norm, router and experts. The weights of the chosen experts are not renormalised."""

    def __init__(self, config: TrimoeMolmoeConfig, layer_idx: int) -> None:
        super().__init__()
        self.ff_norm = OlmoeRMSNorm(config.d_model, eps=config.layer_norm_eps)
        self.gate = OlmoeTopKRouter(config)
        self.gate.top_k = config.layer_top_k[layer_idx]
        self.experts = OlmoeExperts(config)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Map [batch, length, d_model] to the same shape."""
        flat = self.ff_norm(hidden_states).flatten(0, 1)
        _, weights, indices = self.gate(flat)
        output: torch.Tensor = self.experts(flat, indices, weights)
        return output.view(hidden_states.shape)


class TrimoeMolmoeBlock(GradientCheckpointingLayer):  # type: ignore[misc]
    """One transformer block; the norms live inside its two halves, as the checkpoint names them."""

    def __init__(self, config: TrimoeMolmoeConfig, layer_idx: int) -> None:
        super().__init__()
        self.residual_dropout = config.residual_dropout
        self.attn = TrimoeMolmoeAttention(config, layer_idx)
        self.mlp = TrimoeMolmoeSparseMLP(config, layer_idx)

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        position_embeddings: tuple[torch.Tensor, torch.Tensor] | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Map [batch, length, d_model] to the same shape."""
        attended, _ = self.attn(
            hidden_states,
            position_embeddings=position_embeddings,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            **kwargs,
        )
        hidden_states = hidden_states + F.dropout(attended, self.residual_dropout, self.training)
        return hidden_states + F.dropout(self.mlp(hidden_states), self.residual_dropout, self.training)


class TrimoeMolmoeDecoder(nn.Module):
    """Embeddings, blocks and final norm, under the checkpoint's name `transformer`."""

    def __init__(self, config: TrimoeMolmoeConfig) -> None:
        super().__init__()
        self.wte = TrimoeMolmoeEmbedding(config)
        self.blocks = nn.ModuleList([TrimoeMolmoeBlock(config, index) for index in range(config.n_layers)])
        self.ln_f = OlmoeRMSNorm(config.d_model, eps=config.layer_norm_eps)
