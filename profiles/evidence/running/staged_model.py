"""A loaded model run in three parts, so that blocks can be left out by not calling them: before the blocks, one block,
behind them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicCache

Tensors = Mapping[str, torch.Tensor]
_EXPERTS_DIMENSIONS = 3  # of the weights of a block's experts, stacked


@dataclass(frozen=True, kw_only=True, slots=True)
class Entered:
    """What the model feeds to its first block, [rows, length, width], and the keywords (masks, positions) with which it
    calls each."""

    hidden: torch.Tensor
    keywords: tuple[Mapping[str, Any], ...]


class _StandIn(nn.Module):  # type: ignore[misc]
    """Takes a block's place: notes how the model calls it and returns its input."""

    def __init__(self) -> None:
        super().__init__()
        self.received: torch.Tensor | None = None
        self.keywords: dict[str, Any] = {}

    def forward(self, hidden_states: torch.Tensor, **keywords: Any) -> torch.Tensor:
        self.received, self.keywords = hidden_states, keywords
        return hidden_states


class StagedModel:
    """Takes the blocks out of a causal language model of transformers. What is left computes what enters the blocks,
    with the model's own masks and positions, and what the head makes of their output; blocks run when asked for."""

    def __init__(self, model: PreTrainedModel, *, layers_attribute: str) -> None:
        """`layers_attribute` is the path of the list of blocks in the model, whose blocks stand-ins replace."""
        self._model = model
        held = model.get_submodule(layers_attribute)
        self._blocks: tuple[nn.Module, ...] = tuple(held)
        self._stand_ins = tuple(_StandIn() for _ in self._blocks)
        for index, stand_in in enumerate(self._stand_ins):
            held[index] = stand_in
        self._routers = tuple(_with_top_k(block) for block in self._blocks)
        self._source_top_k = tuple(None if not routers else routers[0].top_k for routers in self._routers)

    @property
    def blocks(self) -> int:
        """The number of blocks."""
        return len(self._blocks)

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        device: torch.device = self._model.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type it computes in."""
        dtype: torch.dtype = self._model.dtype
        return dtype

    def top_k(self, block: int) -> int | None:
        """The source's experts per token in a block; None in a dense one."""
        return self._source_top_k[block]

    def active_parameters(self, block: int, top_k: int | None = None) -> int:
        """The parameters of a block that a token is multiplied with, by so many experts; None: the source's."""
        used = self._source_top_k[block] if top_k is None else top_k
        total = 0
        for weight in self._blocks[block].parameters():
            stacked = weight.ndim == _EXPERTS_DIMENSIONS and used is not None
            total += weight.numel() // len(weight) * (used or 0) if stacked else weight.numel()
        return total

    def enter(self, inputs: Tensors, *, past: int = 0) -> Entered:
        """Run all that comes before the blocks on keywords of the model's forward; `past` tokens of each row are in
        caches already, and count in masks."""
        cache = _length_only(past)
        self._model.base_model(**inputs, past_key_values=cache, use_cache=cache is not None)
        received = self._stand_ins[0].received
        assert received is not None  # transformers calls every block
        keywords = tuple(dict(stand_in.keywords) for stand_in in self._stand_ins)
        for stand_in in self._stand_ins:
            stand_in.received, stand_in.keywords = None, {}
        return Entered(hidden=received, keywords=keywords)

    def run(
        self,
        block: int,
        hidden: torch.Tensor,
        keywords: Mapping[str, Any],
        *,
        top_k: int | None = None,
        cache: Cache | None = None,
    ) -> torch.Tensor:
        """Run one block on [rows, length, width]; `top_k` None is the source's. New keys and values go to the layer of
        that number in the cache. Raises ValueError for a top_k of a block that has no experts."""
        wanted = self._source_top_k[block] if top_k is None else top_k
        if top_k is not None and not self._routers[block]:
            raise ValueError(f"block {block} has no experts, so it takes no top_k")
        for router in self._routers[block]:
            router.top_k = wanted
        result: torch.Tensor = self._blocks[block](hidden, **{**keywords, "past_key_values": cache})
        return result

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """What the model's own norm and head make of the last block's output: [rows, length, vocabulary]."""
        logits: torch.Tensor = self._model(inputs_embeds=hidden, use_cache=False).logits
        return logits


def _with_top_k(block: nn.Module) -> tuple[nn.Module, ...]:
    """The modules of a block that hold the number of experts per token: its router, and Mixtral's copy; none in a dense
    block."""
    return tuple(module for module in block.modules() if isinstance(getattr(module, "top_k", None), int))


def _length_only(past: int) -> DynamicCache | None:
    """A cache that only says how many tokens it holds."""
    if not past:
        return None
    cache = DynamicCache()
    empty = torch.zeros(1, 1, past, 1)
    cache.update(empty, empty, 0)
    return cache
