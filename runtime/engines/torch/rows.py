"""Sequences of one variant that run together: prefill, then a token at a time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers.cache_utils import DynamicCache

from runtime.documents.graph_contract import ATTENTION_MASK
from runtime.engines.padding import stack
from runtime.engines.protocol import Prompt, StageClock
from runtime.engines.torch.stage_hooks import stages


class Rows:
    """`logits` [rows, vocabulary] follow each sequence."""

    logits: npt.NDArray[np.float32]

    def __init__(self, model: Any, prompts: Sequence[Prompt], *, clock: StageClock) -> None:
        """Nothing is run before `prefill`."""
        self._model, self._clock = model, clock
        self._inputs = {name: self._placed(value) for name, value in stack(prompts, side="left").items()}
        self._mask = self._inputs.pop(ATTENTION_MASK)
        self._positions = (self._mask.cumsum(-1) - 1).clamp(min=0)
        self._cache = DynamicCache(config=model.config)

    def prefill(self) -> None:
        """Run the prompts, padded on the left."""
        with stages(self._model, self._clock):
            self._run(**self._inputs)
        del self._inputs

    def decode(self, tokens: Sequence[int | None]) -> None:
        """Append a token to each row; what is appended to rows given None means nothing."""
        ids = torch.tensor([[token or 0] for token in tokens], device=self._model.device)
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(ids), 1)], dim=-1)
        self._positions = self._positions[:, -1:] + 1
        with self._model._optimize_model_for_decode():  # as transformers' own generation does
            self._run(input_ids=ids)

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def _run(self, **inputs: torch.Tensor) -> None:
        outputs = self._model(
            **inputs,
            attention_mask=self._mask,
            position_ids=self._positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self.logits = outputs.logits[:, -1].float().cpu().numpy()

    def _placed(self, value: npt.NDArray[Any]) -> torch.Tensor:
        tensor = torch.from_numpy(value)
        return tensor.to(self._model.device, self._model.dtype if tensor.is_floating_point() else tensor.dtype)
