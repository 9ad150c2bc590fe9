"""Sequences of one variant that run together, padded on the left: their prompts, then a token at a time."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import pad
from transformers.cache_utils import DynamicCache

from runtime.documents.graph_contract import (
    ATTENTION_MASK,
    IMAGE_INPUT_IDX,
    IMAGE_MASKS,
    IMAGES,
    INPUT_IDS,
    INPUTS_EMBEDS,
)
from runtime.engines.mixed_batch import Rows as AnyRows
from runtime.engines.mixed_batch import Task
from runtime.engines.padding import stack
from runtime.engines.protocol import Prompt, StageClock
from runtime.engines.torch.stage_hooks import stages


class Rows:
    """See Rows in runtime/engines/mixed_batch.py. Prompts are read column by column, so that all end together."""

    logits: npt.NDArray[np.float32]
    movable = True

    def __init__(self, variant: str, model: Any, prompts: Sequence[Prompt], *, clock: StageClock) -> None:
        """Nothing is run yet."""
        self.variant, self.reused = variant, [0] * len(prompts)
        self._model, self._clock, self._done = model, clock, 0
        self._inputs = {name: self._placed(value) for name, value in stack(prompts, side="left").items()}
        self._mask = self._inputs.pop(ATTENTION_MASK)
        self._positions = (self._mask.cumsum(-1) - 1).clamp(min=0)
        self._cache = DynamicCache()  # keeps what a sliding window leaves behind too, so that rows can be moved

    def __len__(self) -> int:
        return len(self._mask)

    @property
    def unread(self) -> bool:
        """See Rows."""
        return bool(self._inputs)

    def reading(self, tokens: int | None) -> Sequence[Task]:
        """See Rows."""
        return [partial(self._read, tokens)] if self.unread else []

    def decoding(self, tokens: Sequence[int | None], share: float) -> Sequence[Task]:
        """See Rows; what is appended to rows given None means nothing."""
        return [partial(self._decode, tokens)]

    def takes(self, other: AnyRows) -> bool:
        """See Rows."""
        return isinstance(other, Rows) and other.variant == self.variant

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def join(self, other: AnyRows) -> None:
        """See Rows."""
        assert isinstance(other, Rows)  # of the same engine
        longest = max(self._mask.shape[1], other._mask.shape[1])
        both = (self, other)
        self.logits, self.reused = np.concatenate([self.logits, other.logits]), [*self.reused, *other.reused]
        self._positions = torch.cat([rows._positions[:, -1:] for rows in both])
        states = [[_longer(state, longest, axis=2) for state in rows._states()] for rows in both]
        self._replace([torch.cat(pair) for pair in zip(*states, strict=True)])
        self._mask = torch.cat([_longer(rows._mask, longest, axis=1) for rows in both])

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def keep(self, places: Sequence[int]) -> None:
        """See Rows. Columns that are padding in all rows go too."""
        self.logits, self.reused = self.logits[places], [self.reused[place] for place in places]
        self._positions, mask = self._positions[places], self._mask[places]
        first = int(mask.any(dim=0).int().argmax())
        self._mask = mask[:, first:]
        self._replace([state[places][:, :, first:] for state in self._states()])

    def _read(self, tokens: int | None, _threads: int) -> None:
        first, whole = self._done, self._mask.shape[1]
        last = whole if tokens is None else min(first + tokens, whole)
        with stages(self._model, self._clock):
            if last - first < whole:
                self._embed_images()
                inputs = {name: value[:, first:last] for name, value in self._inputs.items()}
            else:
                inputs = self._inputs
            self._run(self._mask[:, :last], self._positions[:, first:last], **inputs)
        self._done = last
        if last == whole:
            self._inputs = {}

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def _embed_images(self) -> None:
        """Put embeddings in the place of tokens and images, which can be read in parts."""
        if IMAGES not in self._inputs:
            return
        found, model = self._inputs, self._model.model
        images = (found[name] for name in (IMAGES, IMAGE_MASKS, IMAGE_INPUT_IDX))
        self._inputs = {INPUTS_EMBEDS: model._add_image_features(model.transformer.wte(found[INPUT_IDS]), *images, 0)}

    def _decode(self, tokens: Sequence[int | None], _threads: int) -> None:
        ids = torch.tensor([[token or 0] for token in tokens], device=self._model.device)
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(ids), 1)], dim=-1)
        self._positions = self._positions[:, -1:] + 1
        with self._model._optimize_model_for_decode():  # as transformers' own generation does
            self._run(self._mask, self._positions, input_ids=ids)

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def _run(self, mask: torch.Tensor, positions: torch.Tensor, **inputs: torch.Tensor) -> None:
        outputs = self._model(
            **inputs,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self.logits = outputs.logits[:, -1].float().cpu().numpy()

    def _states(self) -> list[torch.Tensor]:
        """Keys and values in turn for each layer [rows, heads, columns, dim]."""
        return [state for layer in self._cache.layers for state in (layer.keys, layer.values)]

    def _replace(self, states: Sequence[torch.Tensor]) -> None:
        for layer, keys, values in zip(self._cache.layers, states[::2], states[1::2], strict=True):
            layer.keys, layer.values = keys, values

    def _placed(self, value: npt.NDArray[Any]) -> torch.Tensor:
        tensor = torch.from_numpy(value)
        return tensor.to(self._model.device, self._model.dtype if tensor.is_floating_point() else tensor.dtype)


def _longer(state: torch.Tensor, length: int, *, axis: int) -> torch.Tensor:
    """The tensor with zeros in front, `length` along the axis."""
    return pad(state, [0, 0] * (state.ndim - 1 - axis) + [length - state.shape[axis], 0])
