"""The inputs of the golden files: two prompts of different length, with an image where the model takes images, made
from a seed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from exporter.checkpoint.checkpoint import Checkpoint
from runtime.documents.checked_json import Node
from runtime.documents.family_layout import CONFIG

SEED = 20260101
LENGTHS = (24, 13)  # tokens of text in each row
CROPS = 2
IGNORED = -100  # an image token that stands nowhere
ABSENT = -1.0  # pixels and masks of a crop that a row does not have


def make_inputs(config: Mapping[str, Any], *, vocabulary: int, seed: int = SEED) -> dict[str, torch.Tensor]:
    """Keywords for a causal model's forward: `input_ids`, `attention_mask` [2, length], padded on the right.

    A config with a `vision_backbone` gets an image of two crops in the first row as well: `images` [2, crops, patches,
    3·patch²], `image_masks` [2, crops, patches], `image_input_idx` [2, crops, tokens]; the second row has none.
    `vocabulary` is the number of ordinary token ids. The same arguments give the same values.
    """
    generator = np.random.Generator(np.random.Philox(key=seed))
    vision = config.get("vision_backbone")
    image = None if vision is None else _image(config, vision, generator)
    before = 0 if image is None else image["image_input_idx"][0].size
    length = before + LENGTHS[0]
    pad = config.get("pad_token_id")
    ids = np.full((2, length), pad if isinstance(pad, int) and 0 <= pad < vocabulary else 0, dtype=np.int64)
    mask = np.zeros((2, length), dtype=np.int64)
    for row, (offset, count) in enumerate(((before, LENGTHS[0]), (0, LENGTHS[1]))):
        ids[row, offset : offset + count] = generator.integers(0, vocabulary, count)
        mask[row, : offset + count] = 1
    arrays = {"input_ids": ids, "attention_mask": mask}
    if image is not None:
        added = config.get("additional_vocab_size") or 0
        first = config.get("embedding_size") or vocabulary
        ids[0, :before] = (
            first + generator.integers(0, added, before) if added else generator.integers(0, vocabulary, before)
        )
        arrays |= image
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


def make_following(count: int, *, vocabulary: int, seed: int = SEED) -> npt.NDArray[np.int64]:
    """So many token ids to be fed behind each row of the inputs: [2, count]. The same arguments give the same."""
    generator = np.random.Generator(np.random.Philox(key=seed + 1))
    return generator.integers(0, vocabulary, (len(LENGTHS), count))


def _image(
    config: Mapping[str, Any], vision: Mapping[str, Any], generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """An image of CROPS crops in row 0: whole, partly padded and wholly padded patches; its tokens stand before the
    text."""
    patch = vision["image_patch_size"]
    height, width = (size // patch for size in vision["image_default_input_size"])
    tokens = -(-height // config["image_pooling_h"]) * -(-width // config["image_pooling_w"])
    images = np.full((2, CROPS, height * width, 3 * patch * patch), ABSENT, dtype=np.float32)
    images[0] = generator.standard_normal(images[0].shape, dtype=np.float32)
    masks = np.full((2, CROPS, height * width), ABSENT, dtype=np.float32)
    masks[0] = 1.0
    grid = masks[0].reshape(CROPS, height, width)
    grid[-1, -1, :] = 0.0
    grid[-1, height // 2, :] = 0.5
    places = np.full((2, CROPS, tokens), IGNORED, dtype=np.int64)
    places[0] = np.arange(CROPS * tokens).reshape(CROPS, tokens)
    return {"images": images, "image_masks": masks, "image_input_idx": places}


def vocabulary(checkpoint: Checkpoint) -> int:
    """The number of ordinary token ids. Raises DocumentError when the config does not say."""
    node = Node(value=dict(checkpoint.config), file=str(checkpoint.folder / CONFIG))
    return node.require("vocab_size").integer(minimum=1)
