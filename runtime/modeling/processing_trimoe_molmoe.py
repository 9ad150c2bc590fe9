"""Processor of MolmoE: text and images in, the model's inputs out, one sample as on the hub or a padded batch."""

from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, PreTrainedConfig
from transformers.image_processing_utils import BatchFeature
from transformers.processing_utils import ProcessorMixin

from .crops_trimoe_molmoe import NO_TOKEN
from .image_processing_trimoe_molmoe import TrimoeMolmoeImageProcessor, stack_padded
from .prompts_trimoe_molmoe import IMAGE_PROMPT, TOKEN_NAMES, Arrays, first_token, format_prompt, interleave


class TrimoeMolmoeProcessor(ProcessorMixin):  # type: ignore[misc]
    """MolmoE's image processor and tokenizer.

    Images go before the text, or where the text says `<|image|>`. ValueError when the tokenizer lacks an image token,
    when the number of images and of `<|image|>` differ, and when samples of different lengths are batched without
    padding.
    """

    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(image_processor, tokenizer, chat_template=chat_template)
        self._token_ids = np.array([self._token_id(TOKEN_NAMES[kind]) for kind in sorted(TOKEN_NAMES)])
        self._prompt_id = self._token_id(IMAGE_PROMPT)

    @classmethod
    def _get_arguments_from_pretrained(
        cls, pretrained_model_name_or_path: Any, processor_dict: Any = None, **kwargs: Any
    ) -> list[Any]:
        # Our own image processor, whatever class a hub's preprocessor_config.json names, and a tokenizer by its own
        # files only: looking at config.json would ask to run the hub's code.
        tokenizer = AutoTokenizer.from_pretrained(pretrained_model_name_or_path, config=PreTrainedConfig(), **kwargs)
        kwargs.pop("trust_remote_code", None)
        return [TrimoeMolmoeImageProcessor.from_pretrained(pretrained_model_name_or_path, **kwargs), tokenizer]

    def _token_id(self, name: str) -> int:
        token = self.tokenizer.convert_tokens_to_ids(name)
        if token is None or self.tokenizer.convert_ids_to_tokens(token) != name:
            raise ValueError(f"the tokenizer has no token {name!r}, which MolmoE needs")
        return int(token)

    def process(
        self, text: str | None = None, images: Any = None, tokens: Any = None, **kwargs: Any
    ) -> dict[str, torch.Tensor]:
        """Prepare one sample as the hub's method of this name does, without a batch dimension.

        Returns `input_ids` [length] and, with images, `images` [crops, patches, 3·patch²], `image_masks` [crops,
        patches] and `image_input_idx` [crops, tokens]. `tokens` replaces `text` by ready ids. Keywords:
        `message_format` ("role" or "none"), `always_start_with_space`, and the image processor's fields.
        """
        return {key: torch.from_numpy(value) for key, value in self._sample(text, images, tokens, **kwargs).items()}

    def __call__(
        self,
        images: Any = None,
        text: Any = None,
        padding: bool | str = False,
        padding_side: str = "left",
        max_length: int | None = None,
        return_tensors: str = "pt",
        **kwargs: Any,
    ) -> BatchFeature:
        """Prepare a batch.

        `text` is a prompt or a list of them; `images` then holds for each prompt nothing, an image or a list (for a
        single prompt: an image or a list). `padding`: False, True or "longest", or "max_length"; `padding_side`: "left"
        or "right". Returns `input_ids` and `attention_mask` [batch, length] and, with images, the arrays of `process`
        with a batch dimension; absent crops are −1, their tokens −100.
        """
        prompts = [text] if isinstance(text, str) or text is None else list(text)
        if padding_side not in ("left", "right") or padding not in (False, True, "longest", "max_length", "do_not_pad"):
            raise ValueError(
                f"padding is {padding!r} on the {padding_side!r}; supported: False, True, 'longest', 'max_length'; "
                "'left', 'right'"
            )
        if return_tensors not in ("pt", "np"):
            raise ValueError(f"return_tensors is {return_tensors!r}; supported: 'pt', 'np'")
        samples = [
            self._sample(*pair, None, **kwargs)
            for pair in zip(prompts, _images_by_prompt(images, text, len(prompts)), strict=True)
        ]
        length = _target_length([len(one["input_ids"]) for one in samples], padding, max_length)
        return BatchFeature(_batch(samples, length, padding_side == "left", self._pad_id()), tensor_type=return_tensors)

    def _pad_id(self) -> int:
        pad = self.tokenizer.pad_token_id
        return int(self.tokenizer.eos_token_id if pad is None else pad)

    def _sample(
        self,
        text: str | None,
        images: Any,
        tokens: Any,
        message_format: str | None = "role",
        always_start_with_space: bool = True,
        **overrides: Any,
    ) -> Arrays:
        if (text is None) == (tokens is None):
            raise ValueError("exactly one of text and tokens is needed")
        if tokens is None:
            tokens = self.tokenizer.encode(
                format_prompt(text, message_format, always_start_with_space), add_special_tokens=False
            )
        ids = np.asarray(tokens, dtype=np.int64).reshape(-1)
        pictures = [] if images is None else list(images) if isinstance(images, (list, tuple)) else [images]
        crops = [self.image_processor.crop(image, **overrides) for image in pictures]
        first = first_token(self.tokenizer.bos_token_id, self.tokenizer.eos_token_id)
        ids = np.concatenate([[first], ids])
        sample = interleave(ids, crops, image_tokens=self._token_ids, mark=self._prompt_id)
        if crops and not overrides.get("image_padding_mask", self.image_processor.image_padding_mask):
            del sample["image_masks"]
        return sample


def _images_by_prompt(images: Any, text: Any, count: int) -> list[Any]:
    if images is None:
        return [None] * count
    if text is None or isinstance(text, str):
        return [images]
    if not isinstance(images, (list, tuple)) or len(images) != count:
        given = len(images) if isinstance(images, (list, tuple)) else 1
        raise ValueError(
            f"{given} entries of images for {count} prompts: give one entry "
            "(None, an image or a list of images) for each"
        )
    return list(images)


def _target_length(lengths: list[int], padding: bool | str, max_length: int | None) -> int:
    if padding == "max_length":
        if max_length is None or max(lengths) > max_length:
            raise ValueError(
                f"padding 'max_length' with max_length {max_length}, but the longest sample has {max(lengths)} tokens"
            )
        return max_length
    if padding in (False, "do_not_pad") and len(set(lengths)) > 1:
        raise ValueError(f"the samples have {min(lengths)} to {max(lengths)} tokens; batching them needs padding=True")
    return max(lengths)


def _batch(samples: list[Arrays], length: int, left: bool, pad: int) -> Arrays:
    ids = np.full((len(samples), length), pad, dtype=np.int64)
    mask = np.zeros_like(ids)
    shifts = [length - len(one["input_ids"]) if left else 0 for one in samples]
    for row, (one, shift) in enumerate(zip(samples, shifts, strict=True)):
        place = slice(shift, shift + len(one["input_ids"]))
        ids[row, place], mask[row, place] = one["input_ids"], 1
    batch = {"input_ids": ids, "attention_mask": mask}
    pictured = next((one for one in samples if "images" in one), None)
    if pictured is None:
        return batch
    for key, fill in (("images", -1.0), ("image_masks", -1.0), ("image_input_idx", NO_TOKEN)):
        if key in pictured:
            rows = [one.get(key, pictured[key][:0]) for one in samples]
            if key == "image_input_idx":
                rows = [np.where(row < 0, NO_TOKEN, row + shift) for row, shift in zip(rows, shifts, strict=True)]
            batch[key] = stack_padded(rows, fill)
    return batch


TrimoeMolmoeProcessor.register_for_auto_class()
