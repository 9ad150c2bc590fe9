"""Generation with images: what transformers' `generate` needs, padding on either side, and the hub's
`generate_from_batch`."""

from collections.abc import Mapping
from typing import Any

import torch
from transformers import GenerationConfig
from transformers.cache_utils import Cache
from transformers.generation import GenerationMixin

IMAGE_KEYS = ("images", "image_masks", "image_input_idx")
PAD_LEFT = "pad on the left, or give input_ids with their attention_mask and no cache to generate"


class TrimoeMolmoeGenerationMixin(GenerationMixin):  # type: ignore[misc]
    """Images enter with the prompt and are dropped afterwards; rows padded on the right are turned around."""

    def prepare_inputs_for_generation(
        self,
        input_ids: torch.Tensor,
        past_key_values: Cache | None = None,
        is_first_iteration: bool | None = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Drop the images once their features are in the cache. ValueError when a row ends in padding: its next token
        would follow that."""
        mask = kwargs.get("attention_mask")
        if is_first_iteration and isinstance(mask, torch.Tensor) and mask.ndim == 2 and not mask[:, -1].all():
            rows = (mask[:, -1] == 0).nonzero().flatten().tolist()
            raise ValueError(f"attention_mask ends in padding at rows {rows}: {PAD_LEFT}")
        inputs: dict[str, Any] = super().prepare_inputs_for_generation(
            input_ids, past_key_values=past_key_values, is_first_iteration=is_first_iteration, **kwargs
        )
        if not is_first_iteration and kwargs.get("use_cache", True):
            for key in IMAGE_KEYS:
                inputs.pop(key, None)
        return inputs

    @torch.no_grad()
    def generate(self, inputs: torch.Tensor | None = None, *args: Any, **kwargs: Any) -> Any:
        """Generate as transformers does, from rows padded on either side.

        Ids [rows, length] come as `inputs` or `input_ids`. Rows that end in padding (an `attention_mask` of this shape
        ends in 0, or there is none and the ids end in −1) are turned around, with the places of their images, because
        new tokens are appended on the right. The result holds the given ids followed by the new ones. ValueError for
        trailing padding with a cache or with `position_ids`.
        """
        ids = kwargs.get("input_ids") if inputs is None else inputs
        mask = kwargs.get("attention_mask")
        if ids is None or kwargs.get("past_key_values") is not None:
            return super().generate(inputs, *args, **kwargs)
        if mask is None and (ids == -1).any():
            mask = ids != -1
        if mask is None or mask.shape != ids.shape or (mask[:, -1].all() and (ids != -1).all()):
            return super().generate(inputs, *args, **kwargs)
        turned, kwargs["attention_mask"], shift = _turn_around(ids.masked_fill(mask == 0, self._filler()), mask)
        if kwargs.get("position_ids") is not None and shift.any():
            raise ValueError(f"position_ids cannot be given with rows that end in padding: {PAD_LEFT}")
        if kwargs.get("image_input_idx") is not None:
            index = kwargs["image_input_idx"]
            kwargs["image_input_idx"] = torch.where(index < 0, index, index + shift.to(index.device)[:, None, None])
        kwargs.pop("input_ids", None)
        output = super().generate(turned, *args, **kwargs)
        sequences = output if isinstance(output, torch.Tensor) else output.sequences
        sequences[:, : ids.shape[1]] = ids.repeat_interleave(sequences.shape[0] // ids.shape[0], dim=0)
        return output

    @torch.no_grad()
    def generate_from_batch(
        self, batch: Mapping[str, Any], generation_config: GenerationConfig | None = None, **kwargs: Any
    ) -> torch.Tensor:
        """Generate as the hub's method of this name does.

        `batch` holds `input_ids` [rows, length] (−1 = padding, on either side) and optionally `attention_mask` [rows, ≥
        length], `images`, `image_masks`, `image_input_idx`. Returns [rows, length + new]: the given ids followed by the
        new ones.
        """
        input_ids = batch["input_ids"]
        mask = batch.get("attention_mask")
        mask = input_ids != -1 if mask is None else mask[:, : input_ids.shape[1]]
        images = {key: batch[key] for key in IMAGE_KEYS if batch.get(key) is not None}
        output: torch.Tensor = self.generate(
            input_ids, generation_config=generation_config, attention_mask=mask.long(), **images, **kwargs
        )
        return output

    def _filler(self) -> int:
        """An id for masked positions; it is never attended to."""
        pad: int | None = self.config.pad_token_id
        return 0 if pad is None else pad


def _turn_around(ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Move each row's trailing padding to its front: ids and mask [rows, length], and by how much each row moved
    [rows]."""
    length = ids.shape[1]
    places = torch.arange(length, device=ids.device)
    shift = length - 1 - torch.where(mask != 0, places, 0).amax(dim=1)
    source = (places[None] - shift[:, None]) % length
    return ids.gather(1, source), mask.gather(1, source).long(), shift
