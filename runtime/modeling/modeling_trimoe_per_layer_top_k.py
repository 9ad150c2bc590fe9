"""OLMoE, Mixtral, Qwen2-MoE and Qwen3-MoE with one top_k per layer, for transformers 5; travels with the checkpoint
that needs it."""

from typing import Any

from huggingface_hub.dataclasses import strict
from torch import nn
from transformers import MixtralConfig, OlmoeConfig, PreTrainedConfig, Qwen2MoeConfig, Qwen3MoeConfig
from transformers.conversion_mapping import get_checkpoint_conversion_mapping, register_checkpoint_conversion_mapping
from transformers.models.mixtral.modeling_mixtral import MixtralForCausalLM
from transformers.models.olmoe.modeling_olmoe import OlmoeForCausalLM
from transformers.models.qwen2_moe.modeling_qwen2_moe import Qwen2MoeForCausalLM
from transformers.models.qwen3_moe.modeling_qwen3_moe import Qwen3MoeForCausalLM


class TopKPerLayerConfigMixin:
    """The field `top_k_per_layer`: experts per token of each layer. The entry of a layer without experts is not used,
    but must be there."""

    def validate_top_k_per_layer(self: Any) -> None:
        """Raise ValueError unless the list has one value per layer, each from 1 to the number of experts. None is for
        defaults only."""
        values = self.top_k_per_layer
        if values is None:
            return
        if len(values) != self.num_hidden_layers:
            raise ValueError(f"top_k_per_layer has {len(values)} values, the model has {self.num_hidden_layers} layers")
        experts = _number_of_experts(self)
        for layer, value in enumerate(values):
            if isinstance(value, bool) or not 1 <= value <= experts:
                raise ValueError(
                    f"top_k_per_layer[{layer}] is {value!r}; allowed are 1 to {experts}, the number of experts"
                )


def _number_of_experts(config: PreTrainedConfig) -> int:
    """The number of experts, under either of the names that transformers gives it."""
    experts: int = getattr(config, "num_local_experts", None) or config.num_experts
    return experts


class TopKPerLayerMixin:
    """Sets each layer's top_k from the config's list. The auxiliary training loss keeps using the scalar
    `num_experts_per_tok`."""

    def __init__(self: Any, config: PreTrainedConfig) -> None:
        if config.top_k_per_layer is None:
            raise ValueError(
                f"config.top_k_per_layer is missing; a {config.model_type} model needs one value per layer"
            )
        config.validate_top_k_per_layer()
        super().__init__(config)  # type: ignore[call-arg]
        for layer, top_k in zip(self.model.layers, config.top_k_per_layer, strict=True):
            _set_top_k(layer.mlp, top_k)

    @classmethod
    def _can_set_experts_implementation(cls) -> bool:
        return True  # transformers looks for its decorator in this file, but the experts are imported


def _set_top_k(mlp: nn.Module, top_k: int) -> None:
    """Set the router of a sparse layer, and the copy that Mixtral's block keeps; a dense layer has neither."""
    for module in (mlp, getattr(mlp, "gate", None)):
        if module is not None and hasattr(module, "top_k"):
            module.top_k = top_k


@strict
class TrimoeOlmoeConfig(TopKPerLayerConfigMixin, OlmoeConfig):  # type: ignore[misc]
    """OLMoE's config and `top_k_per_layer`."""

    model_type = "trimoe_olmoe"
    top_k_per_layer: list[int] | None = None


@strict
class TrimoeMixtralConfig(TopKPerLayerConfigMixin, MixtralConfig):  # type: ignore[misc]
    """Mixtral's config and `top_k_per_layer`."""

    model_type = "trimoe_mixtral"
    top_k_per_layer: list[int] | None = None


@strict
class TrimoeQwen2MoeConfig(TopKPerLayerConfigMixin, Qwen2MoeConfig):  # type: ignore[misc]
    """Qwen2-MoE's config and `top_k_per_layer`."""

    model_type = "trimoe_qwen2_moe"
    top_k_per_layer: list[int] | None = None


@strict
class TrimoeQwen3MoeConfig(TopKPerLayerConfigMixin, Qwen3MoeConfig):  # type: ignore[misc]
    """Qwen3-MoE's config and `top_k_per_layer`."""

    model_type = "trimoe_qwen3_moe"
    top_k_per_layer: list[int] | None = None


# On disk every expert has its own tensors, in memory they are fused: the parent's mapping, under our name.
for _config in (TrimoeOlmoeConfig, TrimoeMixtralConfig, TrimoeQwen2MoeConfig, TrimoeQwen3MoeConfig):
    register_checkpoint_conversion_mapping(
        _config.model_type,
        get_checkpoint_conversion_mapping(_config.model_type.removeprefix("trimoe_")),
        overwrite=True,
    )


class TrimoeOlmoeForCausalLM(TopKPerLayerMixin, OlmoeForCausalLM):  # type: ignore[misc]
    """OLMoE with one top_k per layer."""

    config_class = TrimoeOlmoeConfig


class TrimoeMixtralForCausalLM(TopKPerLayerMixin, MixtralForCausalLM):  # type: ignore[misc]
    """Mixtral with one top_k per layer."""

    config_class = TrimoeMixtralConfig


class TrimoeQwen2MoeForCausalLM(TopKPerLayerMixin, Qwen2MoeForCausalLM):  # type: ignore[misc]
    """Qwen2-MoE with one top_k per layer."""

    config_class = TrimoeQwen2MoeConfig


class TrimoeQwen3MoeForCausalLM(TopKPerLayerMixin, Qwen3MoeForCausalLM):  # type: ignore[misc]
    """Qwen3-MoE with one top_k per layer."""

    config_class = TrimoeQwen3MoeConfig
