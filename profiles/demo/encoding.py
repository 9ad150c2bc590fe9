"""Samples as the tensors the model reads.

Every canvas has one size, so the crops and the places of the image tokens are constants and a batch is cut at once; the
result is what the model's own processor makes of each sample alone (a test compares them).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedTokenizerFast
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from profiles.datasets.digits.scans import CELL
from profiles.datasets.digits.tasks import COLUMNS, ROWS, DrawnSample
from profiles.demo.config_files import CROP, PATCH

Floats = npt.NDArray[np.float32]

_CROP_STARTS = (0, CELL, 2 * CELL)
_UNUSED = -100
_MEAN: Floats = np.array(OPENAI_CLIP_MEAN, np.float32)
_STD: Floats = np.array(OPENAI_CLIP_STD, np.float32)
_OVERVIEW_PLACES = (2, 3, 5, 6)
_CROP_PLACES = ((10, 11, 15, 16), (_UNUSED, 12, _UNUSED, 17), (_UNUSED, 13, _UNUSED, 18))
"""Position in the text of each pooled patch, the begin token included; the left half of a later crop repeats its
neighbour."""

_IMAGE_TEXT = (
    "<im_start>"
    + ("<im_patch>" * 2 + "<im_col>") * 2
    + "<im_end>"
    + "<im_start>"
    + ("<im_patch>" * COLUMNS + "<im_col>") * ROWS
    + "<im_end>"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Questions of one or more canvases, padded on the right.

    `input_ids`, `attention_mask`: B × tokens. `images`: B × 4 crops × 16 patches × 48. `image_masks`: B × 4 × 16.
    `image_input_idx`: B × 4 × 4. `labels`: B × tokens, the token itself where an answer is to be learnt and −100
    elsewhere. `prompt_lengths`: tokens before the answer.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    images: torch.Tensor
    image_masks: torch.Tensor
    image_input_idx: torch.Tensor
    labels: torch.Tensor
    prompt_lengths: tuple[int, ...]


def prompt_text(question: str) -> str:
    """The question as the chat format has it."""
    return f" User: {question} Assistant:"


def _patches(crops: Floats) -> Floats:
    """N × crop × crop × 3 to N × patches × (patch² · 3)."""
    side = CROP // PATCH
    split = crops.reshape(-1, side, PATCH, side, PATCH, 3)
    return split.transpose(0, 1, 3, 2, 4, 5).reshape(-1, side * side, PATCH * PATCH * 3)


def encode_images(canvases: npt.NDArray[np.uint8]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`images`, `image_masks` and `image_input_idx` of canvases, uint8, B × 16 × 32 × 3.

    Raises ValueError for canvases of another size.
    """
    height, width = ROWS * CELL, COLUMNS * CELL
    if canvases.shape[1:] != (height, width, 3):
        raise ValueError(
            f"canvases are {' × '.join(map(str, canvases.shape[1:]))}: the demo encodes {height} × {width} × 3"
        )
    count = len(canvases)
    pixels: Floats = canvases.astype(np.float32) / np.float32(255)
    small = torch.nn.functional.interpolate(
        torch.from_numpy(pixels).permute(0, 3, 1, 2),
        size=(height // 2, width // 2),
        mode="bilinear",
        antialias=True,
        align_corners=False,
    )
    overview: Floats = np.zeros((count, CROP, CROP, 3), np.float32)
    overview[:, CROP // 4 : CROP // 4 + height // 2] = small.clip(0, 1).permute(0, 2, 3, 1).numpy()
    views = [overview]
    views += [pixels[:, :, start : start + CROP] for start in _CROP_STARTS]
    crops: Floats = np.stack(views, axis=1).reshape(-1, CROP, CROP, 3)
    crops = (crops - _MEAN) / _STD
    images = torch.from_numpy(_patches(crops)).reshape(count, len(views), -1, PATCH * PATCH * 3)
    masks = torch.ones(count, len(views), images.shape[2])
    masks[:, -1] = -1
    places = torch.tensor((_OVERVIEW_PLACES, *_CROP_PLACES)).expand(count, -1, -1)
    return images, masks, places


def encode_samples(
    samples: Sequence[DrawnSample], tokenizer: PreTrainedTokenizerFast, texts: Sequence[str] | None = None
) -> Batch:
    """Questions followed by answers: `texts`, or each sample's own target."""
    answers = [sample.target for sample in samples] if texts is None else texts
    prompts = tokenizer([prompt_text(sample.question) for sample in samples], add_special_tokens=False)["input_ids"]
    endings = tokenizer([f" {answer}" for answer in answers], add_special_tokens=False)["input_ids"]
    head = [tokenizer.eos_token_id, *tokenizer(_IMAGE_TEXT, add_special_tokens=False)["input_ids"]]
    prompt_lengths = tuple(len(head) + len(prompt) for prompt in prompts)
    width = max(start + len(ending) + 1 for start, ending in zip(prompt_lengths, endings, strict=True))
    input_ids = torch.full((len(samples), width), tokenizer.pad_token_id)
    mask = torch.zeros(len(samples), width, dtype=torch.long)
    labels = torch.full((len(samples), width), _UNUSED)
    for row, (prompt, ending, start) in enumerate(zip(prompts, endings, prompt_lengths, strict=True)):
        tokens = torch.tensor([*head, *prompt, *ending, tokenizer.eos_token_id])
        input_ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
        labels[row, start : len(tokens)] = tokens[start:]
    images, image_masks, places = encode_images(np.stack([sample.pixels for sample in samples]))
    return Batch(
        input_ids=input_ids,
        attention_mask=mask,
        images=images,
        image_masks=image_masks,
        image_input_idx=places,
        labels=labels,
        prompt_lengths=prompt_lengths,
    )
