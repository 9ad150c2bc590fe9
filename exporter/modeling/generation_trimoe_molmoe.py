"""Generation with images: what transformers' `generate` needs, and the hub's `generate_from_batch`."""

from collections.abc import Mapping
from typing import Any

import torch
from transformers import GenerationConfig
from transformers.cache_utils import Cache
from transformers.generation import GenerationMixin

IMAGE_KEYS = ("images", "image_masks", "image_input_idx")


class TrimoeMolmoeGenerationMixin(GenerationMixin):  # type: ignore[misc]
    """Images enter with the prompt and are dropped afterwards."""

    def prepare_inputs_for_generation(
        self, input_ids: torch.Tensor, past_key_values: Cache | None = None, is_first_iteration: bool | None = False, **kwargs: Any
    ) -> dict[str, Any]:
        """Drop the images once their features are in the cache."""
        inputs: dict[str, Any] = super().prepare_inputs_for_generation(
            input_ids, past_key_values=past_key_values, is_first_iteration=is_first_iteration, **kwargs
        )
        if not is_first_iteration and kwargs.get("use_cache", True):
            for key in IMAGE_KEYS:
                inputs.pop(key, None)
        return inputs

    @torch.no_grad()
    def generate_from_batch(self, batch: Mapping[str, Any], generation_config: GenerationConfig | None = None, **kwargs: Any) -> torch.Tensor:
        """Generate as the hub's method of this name does.

        `batch` holds `input_ids` [rows, length] (−1 = padding, on either side) and optionally `attention_mask` [rows, ≥ length],
        `images`, `image_masks`, `image_input_idx`. Returns [rows, length + new]: the given ids followed by the new ones.
        """
        input_ids = batch["input_ids"]
        length = input_ids.shape[1]
        mask = batch.get("attention_mask")
        mask = input_ids != -1 if mask is None else mask[:, :length].bool()
        images = {key: batch[key] for key in IMAGE_KEYS if batch.get(key) is not None}
        # New tokens are appended on the right, so the padding has to be on the left: row by row, turn trailing padding around.
        shift = length - 1 - torch.where(mask, torch.arange(length, device=mask.device), 0).amax(dim=1)
        source = (torch.arange(length, device=mask.device)[None] - shift[:, None]) % length
        if "image_input_idx" in images:
            index = images["image_input_idx"]
            images["image_input_idx"] = torch.where(index < 0, index, index + shift.to(index.device)[:, None, None])
        output = self.generate(
            input_ids.masked_fill(~mask, self._filler()).gather(1, source),
            generation_config=generation_config,
            attention_mask=mask.gather(1, source).long(),
            **images,
            **kwargs,
        )
        sequences = output if isinstance(output, torch.Tensor) else output.sequences
        sequences[:, :length] = input_ids.repeat_interleave(sequences.shape[0] // input_ids.shape[0], dim=0)
        return output

    def _filler(self) -> int:
        """An id for masked positions; it is never attended to."""
        pad: int | None = self.config.pad_token_id
        return 0 if pad is None else pad
