"""MolmoE for transformers 5: the model classes, which read the hub's checkpoint layout and take its keywords."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.cache_utils import Cache, DynamicCache
from transformers.conversion_mapping import get_checkpoint_conversion_mapping, register_checkpoint_conversion_mapping
from transformers.masking_utils import create_causal_mask
from transformers.modeling_outputs import MoeCausalLMOutputWithPast, MoeModelOutputWithPast
from transformers.modeling_utils import slice_logits_to_keep
from transformers.models.olmoe.modeling_olmoe import OlmoeExperts, OlmoeTopKRouter
from transformers.utils.generic import can_return_tuple, merge_with_config_defaults
from transformers.utils.output_capturing import OutputRecorder, capture_outputs

from .configuration_trimoe_molmoe import TrimoeMolmoeConfig
from .decoder_trimoe_molmoe import TrimoeMolmoeAttention, TrimoeMolmoeBlock, TrimoeMolmoeDecoder, TrimoeMolmoeEmbedding
from .generation_trimoe_molmoe import TrimoeMolmoeGenerationMixin
from .vision_trimoe_molmoe import TrimoeMolmoeVisionBackbone, TrimoeMolmoeVisionTransformer

# On disk every expert has its own tensors, in memory they are fused: the same mapping as OLMoE's, under our name.
register_checkpoint_conversion_mapping(
    TrimoeMolmoeConfig.model_type, get_checkpoint_conversion_mapping("olmoe"), overwrite=True
)

# The hub's forward takes these too; dropping one in silence would change the answer.
_UNSUPPORTED_KEYWORDS = ("attention_bias", "response_mask", "subsegment_ids", "loss_masks", "append_last_valid_logits")


class TrimoeMolmoePreTrainedModel(PreTrainedModel):
    """What transformers has to know about both model classes."""

    config_class = TrimoeMolmoeConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    # transformers reads it from the class
    _no_split_modules = ["TrimoeMolmoeBlock", "TrimoeMolmoeVisionBlock"]  # noqa: RUF012
    _skip_keys_device_placement = ["past_key_values"]  # noqa: RUF012 - transformers reads it from the class
    _supports_flash_attn = True
    _supports_sdpa = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _can_record_outputs = {  # noqa: RUF012 - transformers reads it from the class
        "router_logits": OutputRecorder(OlmoeTopKRouter, index=0),
        "hidden_states": TrimoeMolmoeBlock,
        "attentions": TrimoeMolmoeAttention,
    }

    def __init__(self, config: TrimoeMolmoeConfig, *inputs: Any, **kwargs: Any) -> None:
        config.check()  # fields may have been assigned since the configuration was read
        super().__init__(config, *inputs, **kwargs)

    def get_input_embeddings(self) -> nn.Module:
        """Return the module that embeds token ids."""
        return self.base_model.transformer.wte  # type: ignore[no-any-return]

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the module that embeds token ids."""
        self.base_model.transformer.wte = value

    @classmethod
    def _can_set_experts_implementation(cls) -> bool:
        return True  # transformers looks for its decorator in this file, but the experts are imported

    def _grouped_mm_can_dispatch(self) -> bool:
        # torch.nn.functional.grouped_mm wants rows of whole 16 bytes; without this check it fails in the middle of a
        # forward.
        for name, width in (
            ("d_model", self.config.d_model),
            ("the width of an expert", self.config.intermediate_size),
        ):
            if width % 8:
                raise ValueError(
                    f"experts_implementation 'grouped_mm' needs multiples of 8, but {name} is {width}; use 'eager' "
                    "or 'batched_mm'"
                )
        return super()._grouped_mm_can_dispatch()  # type: ignore[no-any-return]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        std = self.config.initializer_range
        if isinstance(module, TrimoeMolmoeEmbedding):
            init.normal_(module.embedding, std=std)
            init.normal_(module.new_embedding, std=self.config.new_embedding_init_range)
        elif isinstance(module, OlmoeExperts):
            init.normal_(module.gate_up_proj, std=std)
            init.normal_(module.down_proj, std=std)
        elif isinstance(module, OlmoeTopKRouter):
            init.normal_(module.weight, std=std)
        elif isinstance(module, TrimoeMolmoeVisionTransformer):
            init.normal_(module.class_embedding, std=module.class_embedding.shape[0] ** -0.5)
            init.normal_(module.positional_embedding, std=module.class_embedding.shape[0] ** -0.5)
        elif isinstance(module, TrimoeMolmoeVisionBackbone) and module.padding_embed is not None:
            init.zeros_(module.pad_embed)


class TrimoeMolmoeModel(TrimoeMolmoePreTrainedModel):
    """MolmoE without its head."""

    def __init__(self, config: TrimoeMolmoeConfig) -> None:
        super().__init__(config)
        self.transformer = TrimoeMolmoeDecoder(config)
        self.vision_backbone = TrimoeMolmoeVisionBackbone(config) if config.vision_backbone is not None else None
        self.gradient_checkpointing = False
        self.post_init()

    @merge_with_config_defaults
    @capture_outputs
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        images: torch.Tensor | None = None,
        image_masks: torch.Tensor | None = None,
        image_input_idx: torch.Tensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> MoeModelOutputWithPast:
        """Run the decoder; shapes as in `TrimoeMolmoeForCausalLM.forward`. Returns `last_hidden_state` [batch, length,
        d_model]."""
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("exactly one of input_ids and inputs_embeds is needed")
        if images is not None and input_ids is None:
            raise ValueError("images go with input_ids, not with inputs_embeds")
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)
        past = past_key_values.get_seq_length() if past_key_values is not None else 0
        if input_ids is not None and attention_mask is None and past == 0:
            attention_mask = input_ids != -1  # the hub pads rows with -1
        if input_ids is not None:
            inputs_embeds = self.transformer.wte(input_ids.masked_fill(input_ids == -1, 0))
        if images is not None:
            inputs_embeds = self._add_image_features(inputs_embeds, images, image_masks, image_input_idx, past)
        assert inputs_embeds is not None  # given, or made from input_ids
        length = inputs_embeds.shape[1]
        if attention_mask is not None and attention_mask.ndim == 2:
            attention_mask = attention_mask[:, : past + length]  # the hub's callers pass room for the tokens to come
        if position_ids is None:
            position_ids = _positions(attention_mask, past, length, inputs_embeds.device)
        hidden_states = self._run_blocks(
            inputs_embeds, attention_mask, position_ids, past_key_values, use_cache=use_cache, **kwargs
        )
        return MoeModelOutputWithPast(last_hidden_state=hidden_states, past_key_values=past_key_values)

    def _run_blocks(
        self,
        inputs_embeds: torch.Tensor,
        attention_mask: torch.Tensor | None,
        position_ids: torch.Tensor,
        past_key_values: Cache | None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Embeddings [batch, length, d_model] through dropout, all blocks and the final norm, to the same shape."""
        causal_mask = create_causal_mask(
            config=self.config,
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            position_ids=position_ids,
        )
        hidden_states = F.dropout(inputs_embeds, self.config.embedding_dropout, self.training)
        rotary = self._rotary(position_ids, hidden_states.dtype)
        for block in self.transformer.blocks:
            hidden_states = block(
                hidden_states,
                attention_mask=causal_mask,
                position_ids=position_ids,
                past_key_values=past_key_values,
                position_embeddings=rotary,
                **kwargs,
            )
        return self.transformer.ln_f(hidden_states)

    def _rotary(self, position_ids: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines [batch, length, head_dim]. Computed from the config each time: a buffer would follow
        `model.half()`."""
        width = self.config.attention_head_dim
        steps = torch.arange(0, width, 2, dtype=torch.float32, device=position_ids.device)
        angles = position_ids[..., None].float() * (1.0 / (self.config.rope_theta ** (steps / width)))
        angles = torch.cat((angles, angles), dim=-1)
        if self.config.rope_full_precision:
            dtype = torch.promote_types(dtype, torch.float32)
        return angles.cos().to(dtype), angles.sin().to(dtype)

    def _add_image_features(
        self,
        inputs_embeds: torch.Tensor,
        images: torch.Tensor,
        image_masks: torch.Tensor | None,
        image_input_idx: torch.Tensor | None,
        past: int,
    ) -> torch.Tensor:
        """Add each image token's feature to the embedding at its position; positions count from the start of the row,
        cache included."""
        if self.vision_backbone is None:
            raise ValueError("images were given, but config.vision_backbone is null: this model has no vision tower")
        features = self.vision_backbone(images, image_masks)
        if image_input_idx is None or image_input_idx.shape != features.shape[:3]:
            given = None if image_input_idx is None else tuple(image_input_idx.shape)
            raise ValueError(f"image_input_idx has shape {given}; the images need {tuple(features.shape[:3])}")
        index = image_input_idx.flatten(1).to(inputs_embeds.device) - past
        rows = torch.arange(index.shape[0], device=index.device)[:, None].expand_as(index)
        used = index >= 0
        if not torch.compiler.is_compiling() and int(index.max()) >= inputs_embeds.shape[1]:
            raise ValueError(
                f"image_input_idx points at position {int(index.max()) + past}, the rows have "
                f"{inputs_embeds.shape[1] + past}"
            )
        place = (rows[used], index[used])
        update = inputs_embeds[place] + features.flatten(1, 2).to(inputs_embeds)[used]
        return inputs_embeds.index_put(place, update)


class TrimoeMolmoeForCausalLM(TrimoeMolmoePreTrainedModel, TrimoeMolmoeGenerationMixin):
    """MolmoE with its language-model head."""

    def __init__(self, config: TrimoeMolmoeConfig) -> None:
        super().__init__(config)
        self.model = TrimoeMolmoeModel(config)
        if not config.weight_tying:
            self.lm_head = nn.Linear(config.d_model, config.output_size, bias=False)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        images: torch.Tensor | None = None,
        image_masks: torch.Tensor | None = None,
        image_input_idx: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        last_logits_only: bool | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        **kwargs: Any,
    ) -> MoeCausalLMOutputWithPast:
        """Compute logits [batch, length, embedding_size] in the hub's terms.

        `input_ids` [batch, length] (−1 = padding), `attention_mask` [batch, past + length], `position_ids` [batch,
        length] (default: counted along the mask), `images` [batch, crops, patches, 3·patch²], `image_masks` [batch,
        crops, patches], `image_input_idx` [batch, crops, tokens] (negative = no token), `labels` [batch, length] (−100
        = ignored). ValueError when shapes do not fit.
        """
        kwargs = _supported(kwargs)
        outputs = self.model(
            input_ids=input_ids,
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            images=images,
            image_masks=image_masks,
            image_input_idx=image_input_idx,
            use_cache=use_cache,
            **kwargs,
        )
        logits = self._logits(outputs.last_hidden_state, 1 if last_logits_only else logits_to_keep)
        loss = None if labels is None else self.loss_function(logits, labels, logits.shape[-1], **kwargs)
        return _with_logits(outputs, logits, loss)

    def _logits(self, hidden_states: torch.Tensor, logits_to_keep: int | torch.Tensor) -> torch.Tensor:
        """Hidden states [batch, length, d_model] of the positions to keep as logits [batch, kept, embedding_size]."""
        weight = self.model.transformer.wte.embedding if self.config.weight_tying else self.lm_head.weight
        return F.linear(slice_logits_to_keep(hidden_states, logits_to_keep), weight)


def _supported(keywords: dict[str, Any]) -> dict[str, Any]:
    """The keywords that this model takes. Raises ValueError where one is used that only the hub's model has."""
    for name in _UNSUPPORTED_KEYWORDS:
        if keywords.get(name) is not None:
            raise ValueError(f"the keyword {name} is not supported")
    return {name: value for name, value in keywords.items() if name not in _UNSUPPORTED_KEYWORDS}


def _with_logits(
    outputs: MoeModelOutputWithPast, logits: torch.Tensor, loss: torch.Tensor | None
) -> MoeCausalLMOutputWithPast:
    """What the decoder gave, with logits and loss in the place of the last hidden state."""
    return MoeCausalLMOutputWithPast(
        loss=loss,
        logits=logits,
        past_key_values=outputs.past_key_values,
        hidden_states=outputs.hidden_states,
        attentions=outputs.attentions,
        router_logits=outputs.router_logits,
    )


def _positions(attention_mask: torch.Tensor | None, past: int, length: int, device: torch.device) -> torch.Tensor:
    """Positions [batch or 1, length]: counted along the attention mask, so that padding on either side does not shift
    them."""
    if attention_mask is not None and attention_mask.ndim == 2:
        return (attention_mask.long().cumsum(dim=-1) - 1).clamp(min=0)[:, -length:]
    return torch.arange(past, past + length, device=device)[None]


TrimoeMolmoeModel.register_for_auto_class("AutoModel")
TrimoeMolmoeForCausalLM.register_for_auto_class("AutoModelForCausalLM")
