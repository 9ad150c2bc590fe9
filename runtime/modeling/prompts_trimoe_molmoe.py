"""MolmoE's prompts: what is put around a question, and where the tokens of images go among those of the text."""

from typing import Any

import numpy as np

from .crops_trimoe_molmoe import COLUMN, END, NO_TOKEN, PATCH, START, ImageCrops

TOKEN_NAMES = {START: "<im_start>", END: "<im_end>", PATCH: "<im_patch>", COLUMN: "<im_col>"}
IMAGE_PROMPT = "<|image|>"
MESSAGE_FORMATS = ("role", "none", None)

Arrays = dict[str, np.ndarray[Any, Any]]


def format_prompt(text: Any, message_format: str | None = "role", always_start_with_space: bool = True) -> str:
    """The text as MolmoE was trained to be asked, e.g. ` User: What is this? Assistant:`. ValueError for anything but a
    string and for a format that is not known."""
    if not isinstance(text, str):
        raise ValueError(f"a prompt is {text!r}; supported: a string")
    if message_format not in MESSAGE_FORMATS:
        raise ValueError(f"message_format is {message_format!r}; supported: 'role', 'none'")
    prompt = f"User: {text} Assistant:" if message_format == "role" else text
    return f" {prompt}" if always_start_with_space else prompt


def first_token(bos: int | None, eos: int | None) -> int:
    """The token that every row starts with. ValueError where the tokenizer has none."""
    first = eos if bos is None else bos
    if first is None:
        raise ValueError("the tokenizer has neither a bos nor an eos token, and MolmoE starts every row with one")
    return first


def interleave(
    ids: np.ndarray[Any, Any], crops: list[ImageCrops], *, image_tokens: np.ndarray[Any, Any], mark: int
) -> Arrays:
    """Put the tokens of the images at the ids `mark`, those of `<|image|>`, or after the first id when there are none.

    `ids` [length]; `image_tokens` are the ids of TOKEN_NAMES by kind. Returns `input_ids` [length] and, with images,
    `images` [crops, patches, 3·patch²], `image_masks` [crops, patches] and `image_input_idx` [crops, tokens].
    ValueError when there are other numbers of images and marks.
    """
    marks = np.flatnonzero(ids == mark)
    if len(marks) not in (0, len(crops)):
        raise ValueError(f"the text has {len(marks)} {IMAGE_PROMPT} for {len(crops)} images")
    if not crops:
        return {"input_ids": ids}
    pieces: list[np.ndarray[Any, Any]] = []
    positions = []
    done = length = 0
    places = marks.tolist() or [1] * len(crops)
    for place, one in zip(places, crops, strict=True):
        pieces += [ids[done:place], image_tokens[one.layout]]
        start = length + place - done
        positions.append(np.where(one.positions < 0, NO_TOKEN, one.positions + start))
        done, length = place + (1 if len(marks) else 0), start + len(one.layout)
    return {
        "input_ids": np.concatenate([*pieces, ids[done:]]),
        "images": np.concatenate([one.patches for one in crops]),
        "image_input_idx": np.concatenate(positions),
        "image_masks": np.concatenate([one.masks for one in crops]),
    }
