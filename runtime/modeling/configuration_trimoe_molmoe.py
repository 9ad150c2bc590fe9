"""Configuration of MolmoE for transformers 5: the hub's fields, unchanged, plus one top_k per layer."""

from dataclasses import field
from typing import Any

from transformers import PreTrainedConfig

from .vision_settings_trimoe_molmoe import VisionSettings, check_grid, check_vit_layers

HUB_MODEL_TYPE = "molmo"

# Fields that change the mathematics, each with every value this implementation has. Anything else is refused by name.
SUPPORTED_VALUES: dict[str, tuple[Any, ...]] = {
    "block_type": ("moe",),
    "block_group_size": (1,),
    "activation_type": ("swiglu",),
    "layer_norm_type": ("rms",),
    "layer_norm_with_affine": (True,),
    "attention_layer_norm": (True,),
    "attention_layer_norm_with_affine": (True,),
    "bias_for_layer_norm": (False, None),
    "include_bias": (False,),
    "norm_after": (False,),
    "alibi": (False,),
    "rope": (True,),
    "rope_impl": ("llama",),
    "use_position_ids": (True,),
    "multi_query_attention": (False, None),
    "attention_type": ("sdpa", "direct", "flash"),
    "attn_logit_softcapping": (None,),
    "final_logit_softcapping": (None,),
    "scale_logits": (False,),
    "normalize_input_embeds": (False,),
    "moe_shared_expert": (False, None),
    "moe_interleave": (False, None),
    "moe_dropless": (True,),
    "response_residual_dropout": (0.0,),
    "response_attention_dropout": (0.0,),
    "unconditioned": (False,),
    "use_cls_feature": (False,),
    "fix_image_input_idx": (2,),
    "image_projector": ("mlp", "linear"),
    "image_pooling_2d": ("attention-meanq", "attention_meanq", "attention", "stack", "none"),
    "image_padding_embed": (None, "pad_embed", "regress", "pad_and_partial_pad"),
    "crop_mode": ("overlap-and-resize-c2", "resize"),
    "message_formatting": ("role", "none", None),
}
_POSITIVE_INTEGERS = [
    "d_model",
    "n_layers",
    "n_heads",
    "n_kv_heads",
    "head_dim",
    "mlp_ratio",
    "mlp_hidden_size",
    "vocab_size",
    "embedding_size",
    "additional_vocab_size",
    "moe_num_experts",
    "moe_top_k",
    "image_pooling_h",
    "image_pooling_w",
    "max_crops",
    "max_position_embeddings",
    "max_sequence_length",
]
_BOOLEANS = (
    "weight_tying",
    "rope_full_precision",
    "qkv_bias",
    "float32_attention",
    "use_col_tokens",
    "always_start_with_space",
    "use_cache",
)
# What this class computes from the fields above; a config.json that states one of them has to state the same.
_COMPUTED = (
    "num_key_value_heads",
    "attention_head_dim",
    "intermediate_size",
    "output_size",
    "hidden_act",
    "norm_topk_prob",
)
_DROPOUTS = ("attention_dropout", "residual_dropout", "embedding_dropout", "image_feature_dropout")
_OPTIONAL_INTEGERS = ("n_kv_heads", "head_dim", "mlp_hidden_size", "embedding_size", "max_position_embeddings")


class TrimoeMolmoeConfig(PreTrainedConfig):
    """The fields of the hub's `config.json` (`model_type: molmo`, `block_type: moe`) with MolmoE-1B's values as
    defaults.

    `top_k_per_layer` holds one number of experts per layer (length `n_layers`, each in 1..`moe_num_experts`); None
    means `moe_top_k` everywhere. `vision_backbone` None means a text-only model. Fields not listed here are kept as
    they are. Raises ValueError, naming the field, its value and what is supported, for anything this implementation
    does not compute.
    """

    model_type = "trimoe_molmoe"
    keys_to_ignore_at_inference = ["past_key_values"]  # noqa: RUF012 - transformers reads it from the class
    attribute_map = {  # noqa: RUF012 - transformers reads it from the class
        "hidden_size": "d_model",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "num_experts": "moe_num_experts",
        "num_local_experts": "moe_num_experts",
        "num_experts_per_tok": "moe_top_k",
        "rms_norm_eps": "layer_norm_eps",
        "tie_word_embeddings": "weight_tying",
    }

    d_model: int = 2048
    n_layers: int = 16
    n_heads: int = 16
    n_kv_heads: int | None = None
    head_dim: int | None = None
    mlp_ratio: int = 1
    mlp_hidden_size: int | None = None
    vocab_size: int = 50280
    embedding_size: int | None = 50304
    additional_vocab_size: int = 128
    weight_tying: bool = False
    moe_num_experts: int = 64
    moe_top_k: int = 8
    top_k_per_layer: list[int] | None = None
    rope_theta: float = 10000.0
    rope_full_precision: bool = True
    layer_norm_eps: float | None = 1e-5
    qkv_bias: bool = False
    clip_qkv: float | None = None
    max_position_embeddings: int | None = 32768
    max_sequence_length: int = 4096
    attention_dropout: float = 0.0
    residual_dropout: float = 0.0
    embedding_dropout: float = 0.0
    image_feature_dropout: float = 0.0
    initializer_range: float = 0.02
    new_embedding_init_range: float = 0.02
    float32_attention: bool = True
    vision_backbone: dict[str, Any] | None = field(default_factory=VisionSettings.defaults)
    vit_layers: list[int] | None = field(default_factory=lambda: [-2, -9])
    image_pooling_2d: str = "attention-meanq"
    image_pooling_h: int = 2
    image_pooling_w: int = 2
    image_projector: str = "mlp"
    image_padding_embed: str | None = "pad_and_partial_pad"
    crop_mode: str = "overlap-and-resize-c2"
    max_crops: int = 12
    overlap_margins: list[int] = field(default_factory=lambda: [4, 4])
    use_col_tokens: bool = True
    message_formatting: str | None = "role"
    always_start_with_space: bool = True
    use_cache: bool = True
    pad_token_id: int | None = 1
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        """Store the remaining fields and refuse what is not supported."""
        if self.layer_norm_eps is None:  # the hub's code then uses this value
            self.layer_norm_eps = 1e-5
        stated = {name: kwargs.pop(name) for name in _COMPUTED if name in kwargs}
        super().__post_init__(**kwargs)
        self.check()
        for name, value in stated.items():
            _check_value(name, value, (getattr(self, name), None))

    @classmethod
    def get_config_dict(
        cls, pretrained_model_name_or_path: Any, **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Read `config.json`; the hub's own (`model_type: molmo`) becomes ours, without its remote-code pointers."""
        values, rest = super().get_config_dict(pretrained_model_name_or_path, **kwargs)
        if values.get("model_type") == HUB_MODEL_TYPE:
            values = {
                key: value for key, value in values.items() if key not in ("model_type", "auto_map", "architectures")
            }
        return values, rest

    def validate(self) -> None:
        """Check again before saving: fields may have been assigned since."""
        super().validate()
        self.check()

    def check(self) -> None:
        """Raise ValueError for the first field whose value is not supported or does not fit the others."""
        for name, supported in SUPPORTED_VALUES.items():
            _check_value(name, getattr(self, name, supported[0]), supported)
        for name in _POSITIVE_INTEGERS:
            _check_positive(name, getattr(self, name), optional=name in _OPTIONAL_INTEGERS)
        for name in _BOOLEANS:
            _check_value(name, getattr(self, name), (True, False))
        for name in _DROPOUTS:
            _check_number(name, getattr(self, name), 0.0, 1.0)
        for name in ("rope_theta", "layer_norm_eps"):
            _check_number(name, getattr(self, name), 0.0, None)
        self._check_widths()
        self._check_top_k()
        if self.vision_backbone is not None:
            vision = self.vision
            check_vit_layers(self.vit_layers, vision.image_num_layers)
            check_grid(vision.grid, self.image_pooling_2d, (self.image_pooling_h, self.image_pooling_w))

    def _check_widths(self) -> None:
        if self.head_dim is None and self.d_model % self.n_heads:
            raise ValueError(
                f"config.d_model is {self.d_model}, not a multiple of n_heads {self.n_heads}: set head_dim"
            )
        if self.attention_head_dim % 2:
            raise ValueError(
                f"config: the width of a head is {self.attention_head_dim}; rotary embeddings need an even number"
            )
        if self.n_heads % self.num_key_value_heads:
            raise ValueError(f"config.n_kv_heads is {self.n_kv_heads}, which does not divide n_heads {self.n_heads}")
        hidden = self.mlp_ratio * self.d_model if self.mlp_hidden_size is None else self.mlp_hidden_size
        if hidden % 2:
            raise ValueError(f"config: the MLP hidden size is {hidden}; SwiGLU halves it, so it must be even")
        if self.embedding_size is not None and self.embedding_size < self.vocab_size:
            raise ValueError(f"config.embedding_size is {self.embedding_size}, less than vocab_size {self.vocab_size}")
        if self.clip_qkv is not None:
            _check_number("clip_qkv", self.clip_qkv, 0.0, None)

    def _check_top_k(self) -> None:
        values = [self.moe_top_k] if self.top_k_per_layer is None else self.top_k_per_layer
        if not isinstance(values, (list, tuple)):
            raise ValueError(
                f"config.top_k_per_layer is {values!r}; supported: null or a list of {self.n_layers} integers"
            )
        if self.top_k_per_layer is not None and len(values) != self.n_layers:
            raise ValueError(f"config.top_k_per_layer has {len(values)} values, the model has {self.n_layers} layers")
        for place, value in enumerate(values):
            name = "moe_top_k" if self.top_k_per_layer is None else f"top_k_per_layer[{place}]"
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= self.moe_num_experts:
                raise ValueError(
                    f"config.{name} is {value!r}; supported: 1 to {self.moe_num_experts} (moe_num_experts)"
                )

    @property
    def layer_top_k(self) -> tuple[int, ...]:
        """Experts per token of each layer."""
        return tuple(self.top_k_per_layer) if self.top_k_per_layer is not None else (self.moe_top_k,) * self.n_layers

    @property
    def num_key_value_heads(self) -> int:
        """Heads of keys and values: `n_heads` unless the checkpoint uses grouped queries."""
        return self.n_heads if self.n_kv_heads is None else self.n_kv_heads

    @property
    def attention_head_dim(self) -> int:
        """Width of one head."""
        return self.d_model // self.n_heads if self.head_dim is None else self.head_dim

    @property
    def intermediate_size(self) -> int:
        """Width of one expert, and of the image projector: half of the SwiGLU hidden size."""
        return (self.mlp_ratio * self.d_model if self.mlp_hidden_size is None else self.mlp_hidden_size) // 2

    @property
    def output_size(self) -> int:
        """Rows of the language-model head, so the width of the logits."""
        return self.vocab_size if self.embedding_size is None else self.embedding_size

    @property
    def hidden_act(self) -> str:
        """Activation of the experts, as transformers' expert modules ask for it."""
        return "silu"

    @property
    def norm_topk_prob(self) -> bool:
        """MolmoE does not renormalise the weights of the chosen experts."""
        return False

    @property
    def vision(self) -> VisionSettings:
        """The checked form of `vision_backbone`; ValueError for a text-only model."""
        if self.vision_backbone is None:
            raise ValueError("config.vision_backbone is null: this model has no vision tower")
        return VisionSettings.from_dict(self.vision_backbone)


def _check_value(name: str, value: Any, supported: tuple[Any, ...]) -> None:
    # 0 == False and 1 == True in Python, but not in a configuration.
    if not any(value is one if isinstance(value, bool) or isinstance(one, bool) else value == one for one in supported):
        choices = ", ".join(repr(one) for one in supported)
        raise ValueError(f"config.{name} is {value!r}; supported: {choices}")


def _check_positive(name: str, value: Any, *, optional: bool) -> None:
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"config.{name} is {value!r}; supported: {'null or ' if optional else ''}a positive integer")


def _check_number(name: str, value: Any, low: float, high: float | None) -> None:
    """A number from `low` to below `high`; without `high`, a number above `low`."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not (value > low if high is None else low <= value < high):
        raise ValueError(
            f"config.{name} is {value!r}; supported: a number "
            f"{f'above {low}' if high is None else f'from {low} to below {high}'}"
        )


TrimoeMolmoeConfig.register_for_auto_class()
