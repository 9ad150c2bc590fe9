"""The layouts that `trimoe synth` imitates, as data: the config of a real model and the name and shape of each of its
tensors."""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from exporter.architectures.dimensions import MAX_BLOCKS, MAX_EXPERTS
from exporter.synth.configs import BENCH_CONFIG, MOLMOE_CONFIG, OLMOE_CONFIG
from runtime.errors import PlanError

MOST = {"blocks": MAX_BLOCKS, "experts": MAX_EXPERTS, "vocabulary": 1 << 24, "hidden": 1 << 17}
MOST_EXPERTS_IN_ALL = 1 << 20  # each has three tensors, and all their names are held at once
Shapes = Iterator[tuple[str, tuple[int, ...]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """What a user may change of a layout; None keeps the real model's value. `hidden` scales the expert width and the
    vision tower along."""

    blocks: int | None = None
    hidden: int | None = None
    experts: int | None = None
    vocabulary: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SynthLayout:
    """A real model's layout: its config, its own dtype, how sizes change the config, and the tensors of a config in
    file order."""

    name: str
    dtype: str
    config: Mapping[str, Any]
    keys: Mapping[str, str]
    hidden_step: int
    resize: Callable[[dict[str, Any], int], None]
    shapes: Callable[[Mapping[str, Any]], Shapes]

    def resized(self, sizes: Sizes) -> dict[str, Any]:
        """The config with those sizes. Raises PlanError for a size that the layout cannot have."""
        config = copy.deepcopy(dict(self.config))
        for name, value in (("blocks", sizes.blocks), ("experts", sizes.experts), ("vocabulary", sizes.vocabulary)):
            if value is not None:
                if value < 1:
                    raise PlanError(f"cannot make {value} {name}: at least 1 is needed")
                if value > MOST[name]:
                    raise PlanError(f"cannot make {value} {name}: at most {MOST[name]}")
                config[self.keys[name]] = value
        if config[self.keys["experts"]] < config[self.keys["top_k"]]:
            raise PlanError(
                f"cannot make {config[self.keys['experts']]} experts: {self.name} uses "
                f"{config[self.keys['top_k']]} for each token"
            )
        count = config[self.keys["blocks"]] * config[self.keys["experts"]]
        if count > MOST_EXPERTS_IN_ALL:
            raise PlanError(f"cannot make {count} experts in all blocks together: at most {MOST_EXPERTS_IN_ALL}")
        if sizes.hidden is not None:
            if sizes.hidden < self.hidden_step or sizes.hidden % self.hidden_step:
                raise PlanError(
                    f"cannot make hidden size {sizes.hidden}: {self.name} needs a multiple of {self.hidden_step}"
                )
            if sizes.hidden > MOST["hidden"]:
                raise PlanError(f"cannot make hidden size {sizes.hidden}: at most {MOST['hidden']}")
            self.resize(config, sizes.hidden)
        if sizes.vocabulary is not None:
            _fit_vocabulary(config, sizes.vocabulary)
        return config


def _fit_vocabulary(config: dict[str, Any], vocabulary: int) -> None:
    """Pad the embedding as the real model does, and keep the special tokens inside the vocabulary."""
    if "embedding_size" in config:
        config["embedding_size"] = vocabulary + -vocabulary % 64
    for key in ("eos_token_id", "pad_token_id"):
        if key in config:
            config[key] = min(config[key], vocabulary - 1)


def _olmoe_shapes(config: Mapping[str, Any]) -> Shapes:
    hidden, width, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    yield "model.embed_tokens.weight", (vocabulary, hidden)
    for block in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{block}."
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            yield f"{prefix}self_attn.{name}.weight", (hidden, hidden)
        for name in ("self_attn.q_norm", "self_attn.k_norm", "input_layernorm", "post_attention_layernorm"):
            yield f"{prefix}{name}.weight", (hidden,)
        yield f"{prefix}mlp.gate.weight", (config["num_experts"], hidden)
        yield from _experts(f"{prefix}mlp.experts.", config["num_experts"], hidden, width)
    yield "model.norm.weight", (hidden,)
    yield "lm_head.weight", (vocabulary, hidden)


def _experts(prefix: str, experts: int, hidden: int, width: int) -> Shapes:
    for expert in range(experts):
        yield f"{prefix}{expert}.gate_proj.weight", (width, hidden)
        yield f"{prefix}{expert}.up_proj.weight", (width, hidden)
        yield f"{prefix}{expert}.down_proj.weight", (hidden, width)


def _molmoe_shapes(config: Mapping[str, Any]) -> Shapes:
    hidden = config["d_model"]
    width = config["mlp_ratio"] * hidden // 2  # SwiGLU halves the width
    yield "model.transformer.wte.embedding", (config["embedding_size"], hidden)
    yield "model.transformer.wte.new_embedding", (config["additional_vocab_size"], hidden)
    for block in range(config["n_layers"]):
        prefix = f"model.transformer.blocks.{block}."
        yield f"{prefix}attn.att_proj.weight", (3 * hidden, hidden)
        yield f"{prefix}attn.attn_out.weight", (hidden, hidden)
        for name in ("attn.attn_norm", "attn.q_norm", "attn.k_norm", "mlp.ff_norm"):
            yield f"{prefix}{name}.weight", (hidden,)
        yield f"{prefix}mlp.gate.weight", (config["moe_num_experts"], hidden)
        yield from _experts(f"{prefix}mlp.experts.", config["moe_num_experts"], hidden, width)
    yield "model.transformer.ln_f.weight", (hidden,)
    yield from _vision_shapes(config["vision_backbone"], len(config["vit_layers"]), hidden, width)
    yield "lm_head.weight", (config["embedding_size"], hidden)


def _vision_shapes(vision: Mapping[str, Any], taken: int, hidden: int, width: int) -> Shapes:
    """The vision backbone: the features of `taken` layers are pooled and projected to `hidden`."""
    size, inner = vision["image_emb_dim"], vision["image_mlp_dim"]
    prefix = "model.vision_backbone."
    yield f"{prefix}pad_embed", (2, size * taken)
    for name, columns in (("wq", size * taken), ("wk", size * taken), ("wv", size * taken), ("wo", size)):
        yield from _linear(f"{prefix}image_pooling_2d.{name}", size, columns)
    yield f"{prefix}image_projector.w1.weight", (width, size)
    yield f"{prefix}image_projector.w2.weight", (hidden, width)
    yield f"{prefix}image_projector.w3.weight", (width, size)
    prefix += "image_vit."
    yield f"{prefix}class_embedding", (size,)
    yield f"{prefix}positional_embedding", (vision["image_num_pos"], size)
    yield f"{prefix}patch_embedding.weight", (size, 3 * vision["image_patch_size"] ** 2)
    yield from _norm(f"{prefix}pre_ln", size)
    for block in range(vision["image_num_layers"]):
        inside = f"{prefix}transformer.resblocks.{block}."
        for name in ("wq", "wk", "wv", "wo"):
            yield from _linear(f"{inside}attention.{name}", size, size)
        yield from _linear(f"{inside}feed_forward.w1", inner, size)
        yield from _linear(f"{inside}feed_forward.w2", size, inner)
        yield from _norm(f"{inside}attention_norm", size)
        yield from _norm(f"{inside}ffn_norm", size)


def _linear(name: str, rows: int, columns: int) -> Shapes:
    yield f"{name}.weight", (rows, columns)
    yield f"{name}.bias", (rows,)


def _norm(name: str, size: int) -> Shapes:
    yield f"{name}.weight", (size,)
    yield f"{name}.bias", (size,)


def _resize_olmoe(config: dict[str, Any], hidden: int) -> None:
    config["intermediate_size"] = config["intermediate_size"] * hidden // config["hidden_size"]
    config["hidden_size"] = hidden


def _resize_molmoe(config: dict[str, Any], hidden: int) -> None:
    vision = config["vision_backbone"]
    for key in ("image_emb_dim", "image_mlp_dim", "image_head_dim"):
        vision[key] = vision[key] * hidden // config["d_model"]
    config["d_model"] = hidden


_OLMOE_KEYS = {
    "blocks": "num_hidden_layers",
    "experts": "num_experts",
    "top_k": "num_experts_per_tok",
    "vocabulary": "vocab_size",
}
_MOLMOE_KEYS = {"blocks": "n_layers", "experts": "moe_num_experts", "top_k": "moe_top_k", "vocabulary": "vocab_size"}

LAYOUTS: tuple[SynthLayout, ...] = (
    SynthLayout(
        name="molmoe-1b",
        dtype="float32",
        config=MOLMOE_CONFIG,
        keys=_MOLMOE_KEYS,
        hidden_step=64,
        resize=_resize_molmoe,
        shapes=_molmoe_shapes,
    ),
    SynthLayout(
        name="olmoe-1b-7b",
        dtype="bfloat16",
        config=OLMOE_CONFIG,
        keys=_OLMOE_KEYS,
        hidden_step=32,
        resize=_resize_olmoe,
        shapes=_olmoe_shapes,
    ),
    SynthLayout(
        name="bench",
        dtype="float32",
        config=BENCH_CONFIG,
        keys=_OLMOE_KEYS,
        hidden_step=16,
        resize=_resize_olmoe,
        shapes=_olmoe_shapes,
    ),
)


def find_layout(name: str) -> SynthLayout:
    """The layout of that name. Raises PlanError naming those there are."""
    for layout in LAYOUTS:
        if layout.name == name:
            return layout
    raise PlanError(f"no layout {name!r}; there are {', '.join(layout.name for layout in LAYOUTS)}")
