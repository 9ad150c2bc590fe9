"""What a decoder computes, read once from its config and tensor shapes: sizes, norms, rotary tables, routing, the kind
of each block."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.architectures.architecture import Architecture
from exporter.architectures.decoder_tensors import DecoderTensors
from exporter.checkpoint.checkpoint import Checkpoint, TensorRecord
from runtime.errors import PlanError

POSITIONS = 2**15  # of a model that does not say how many it takes
MOST_POSITIONS = 2**20  # a table of more is larger than most models
HEAD_MULTIPLE = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockSpec:
    """One source block: whether it has experts, its attention window in tokens (None: all), and its tensors by name
    behind the prefix."""

    block: int
    sparse: bool
    window: int | None
    tensors: dict[str, TensorRecord]


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderSpec:
    """Sizes in elements; `cos` and `sin` are float32 [positions, head_dim / 2]; `renormalised` as the MoE node wants
    it.

    `tied_head` says that the head's rows are the first embeddings.
    """

    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    epsilon: float
    clip: float | None
    renormalised: bool
    tied_head: bool
    cos: npt.NDArray[np.float32]
    sin: npt.NDArray[np.float32]
    blocks: tuple[BlockSpec, ...]


def read_decoder(
    architecture: Architecture, checkpoint: Checkpoint, config: Any, *, layers: Sequence[int] | None = None
) -> DecoderSpec:
    """The decoder of a source checkpoint. `config` is the transformers configuration object that computes it, or that
    of a variant whose layer i is the source block `layers[i]`.

    Raises PlanError for what the graphs cannot compute: activations other than silu, rotary tables that change with the
    length.
    """
    _check_activation(checkpoint, config)
    parts, heads, head_dim = architecture.decoder, config.num_attention_heads, _head_dim(checkpoint, config)
    cos, sin = rotary_tables(config, head_dim)
    tied = bool(config.tie_word_embeddings) or parts.head not in checkpoint.tensors
    renormalised = config.norm_topk_prob if parts.renormalised is None else parts.renormalised
    return DecoderSpec(
        hidden=config.hidden_size,
        heads=heads,
        kv_heads=getattr(config, "num_key_value_heads", None) or heads,
        head_dim=head_dim,
        vocabulary=checkpoint.tensors[parts.embeddings[0] if tied else parts.head].shape[0],
        epsilon=float(config.rms_norm_eps),
        clip=getattr(config, "clip_qkv", None),
        renormalised=bool(renormalised),
        tied_head=tied,
        cos=cos,
        sin=sin,
        blocks=_blocks(architecture, checkpoint, config, layers),
    )


def _check_activation(checkpoint: Checkpoint, config: Any) -> None:
    activation = getattr(config, "hidden_act", "silu")
    if activation not in ("silu", "swish"):
        raise PlanError(
            f"{checkpoint.folder}: hidden_act is {activation!r}; the fused experts of ONNX Runtime compute silu"
        )


def _head_dim(checkpoint: Checkpoint, config: Any) -> int:
    stated = getattr(config, "attention_head_dim", None) or getattr(config, "head_dim", None)
    width: int = stated or config.hidden_size // config.num_attention_heads
    if width % HEAD_MULTIPLE:
        raise PlanError(
            f"{checkpoint.folder}: heads of width {width} have no ONNX form: the attention kernel takes "
            f"multiples of {HEAD_MULTIPLE}"
        )
    return width


def _blocks(
    architecture: Architecture, checkpoint: Checkpoint, config: Any, layers: Sequence[int] | None
) -> tuple[BlockSpec, ...]:
    """Every block up to the last that has tensors or is a layer of `config`."""
    kept = range(config.num_hidden_layers) if layers is None else layers
    layer_of = {block: layer for layer, block in enumerate(kept)}
    by_block: dict[int, dict[str, TensorRecord]] = {block: {} for block in layer_of}
    for name, record in checkpoint.tensors.items():
        split = architecture.split_name(name)
        if split is not None:
            by_block.setdefault(split[0], {})[split[1]] = record
    return tuple(
        _block(architecture.decoder, config, block, layer_of.get(block), by_block.get(block, {}))
        for block in range(max(by_block) + 1)
    )


def _block(
    parts: DecoderTensors, config: Any, block: int, layer: int | None, tensors: dict[str, TensorRecord]
) -> BlockSpec:
    window = None if layer is None else _window(config, layer)
    return BlockSpec(block=block, sparse=parts.router in tensors, window=window, tensors=tensors)


def _window(config: Any, layer: int) -> int | None:
    kinds = getattr(config, "layer_types", None)
    if kinds is not None and kinds[layer] != "sliding_attention":
        return None
    window = getattr(config, "sliding_window", None)
    if kinds is None and not getattr(config, "use_sliding_window", True):
        return None
    return window


def rotary_tables(config: Any, head_dim: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Cosine and sine of every position, float32 [positions, head_dim / 2], by transformers' own frequency rules.

    Raises PlanError for rules whose frequencies depend on the length of the input, or do not fill the heads.
    """
    import torch
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    parameters = getattr(config, "rope_parameters", None) or {"rope_type": "default", "rope_theta": config.rope_theta}
    kind = parameters.get("rope_type", "default")
    scaling = 1.0
    if kind == "default":
        # These architectures turn whole heads: a partial_rotary_factor in their config is without effect.
        frequencies = 1.0 / (
            parameters["rope_theta"] ** (torch.arange(0, head_dim, 2, dtype=torch.int64).float() / head_dim)
        )
    elif kind in ("linear", "llama3", "yarn"):
        frequencies, scaling = ROPE_INIT_FUNCTIONS[kind](config, None)
    else:
        raise PlanError(
            f"rope_type {kind!r}: its rotary frequencies change with the length of the input, which a graph cannot hold"
        )
    if len(frequencies) != head_dim // 2:
        raise PlanError(
            f"rope_type {kind!r} gives {len(frequencies)} rotary frequencies: heads of width {head_dim} take "
            f"{head_dim // 2}"
        )
    positions = min(getattr(config, "max_position_embeddings", None) or POSITIONS, MOST_POSITIONS)
    angles = torch.arange(positions).float()[:, None] * frequencies[None, :].float()
    return (angles.cos() * scaling).numpy(), (angles.sin() * scaling).numpy()
