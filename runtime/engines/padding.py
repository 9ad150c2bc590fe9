"""Prompts of one variant stacked into a batch, and the rows of a mixed batch grouped by variant. Pure."""

from collections.abc import Mapping, Sequence

import numpy as np

from runtime.documents.graph_contract import ATTENTION_MASK, IMAGE_INPUT_IDX, IMAGE_MASKS, IMAGES, INPUT_IDS
from runtime.engines.protocol import Array, Prompt

# What stands for crops and image tokens that a row does not have: as MolmoE's own processor pads,
# https://huggingface.co/allenai/MolmoE-1B-0924/blob/main/preprocessing_molmo.py (images: −1; positions: negative).
ABSENT = {IMAGES: -1, IMAGE_MASKS: -1, IMAGE_INPUT_IDX: -100}


def group_by_variant(prompts: Sequence[Prompt]) -> dict[str, tuple[int, ...]]:
    """The places of the prompts of each variant, variants in the order in which they first occur."""
    groups: dict[str, list[int]] = {}
    for place, prompt in enumerate(prompts):
        groups.setdefault(prompt.variant, []).append(place)
    return {variant: tuple(places) for variant, places in groups.items()}


def stack(prompts: Sequence[Prompt], *, side: str) -> dict[str, Array]:
    """`input_ids` and `attention_mask` [rows, longest], padded on `side` ("left" or "right"), and, where any row has an
    image, its arrays [rows, most crops, …]."""
    rows = [np.asarray(prompt.arrays[INPUT_IDS], np.int64) for prompt in prompts]
    longest = max(map(len, rows))
    shifts = [longest - len(row) if side == "left" else 0 for row in rows]
    ids = np.zeros((len(rows), longest), np.int64)
    mask = np.zeros_like(ids)
    for place, (row, shift) in enumerate(zip(rows, shifts, strict=True)):
        ids[place, shift : shift + len(row)] = row
        mask[place, shift : shift + len(row)] = 1
    return {INPUT_IDS: ids, ATTENTION_MASK: mask, **_stack_images([prompt.arrays for prompt in prompts], shifts)}


def _stack_images(rows: Sequence[Mapping[str, Array]], shifts: Sequence[int]) -> dict[str, Array]:
    found = {}
    for name, absent in ABSENT.items():
        values = {place: row[name] for place, row in enumerate(rows) if name in row}
        if not values:
            continue
        some = next(iter(values.values()))
        shape = (len(rows), max(map(len, values.values())), *some.shape[1:])
        found[name] = np.full(shape, absent, some.dtype)
        for place, value in values.items():
            found[name][place, : len(value)] = value
    if IMAGE_INPUT_IDX in found:
        places = found[IMAGE_INPUT_IDX]
        found[IMAGE_INPUT_IDX] = np.where(places < 0, places, places + np.reshape(shifts, (-1, 1, 1)))
    return found
