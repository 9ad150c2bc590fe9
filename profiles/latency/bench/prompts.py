"""What a benchmark asks: prompts of random ordinary tokens, so that tokens go to experts as different texts would send
them, and images of random pixels."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image

from profiles.errors import MeasurementError
from profiles.latency.bench.grid import Cell, Size
from runtime.documents.checked_json import read_document
from runtime.documents.family_layout import CONFIG
from runtime.documents.graph_contract import IMAGE_INPUT_IDX, INPUT_IDS
from runtime.documents.manifest import Manifest
from runtime.engines.prompts import PromptReader, Question
from runtime.engines.protocol import Prompt, StageClock
from runtime.engines.stages import IMAGE
from runtime.latency.workload import Workload

if TYPE_CHECKING:
    from runtime.modeling.crops_trimoe_molmoe import CropSettings

TEXT = "?"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json")
VOCABULARY_KEYS = ("embedding_size", "vocab_size")  # the rows of the embedding table, by architecture


class Reader(Protocol):
    """What prompts are made with: the part of PromptReader that is needed here."""

    @property
    def software(self) -> Mapping[str, str]:
        """Names and versions of what images and texts are read with."""

    @property
    def crop_settings(self) -> "CropSettings | None":
        """How images are cut into crops; None where none are read."""

    @property
    def ordinary_tokens(self) -> Sequence[int]:
        """The ids of tokens that stand for text."""

    def read(self, questions: Sequence[Question], *, variant: str) -> Sequence[Prompt]:
        """The questions as prompts for `variant`, in order."""


class TokensOnly:
    """For random weights, which come without a tokenizer: every row of the embedding table is a token, and there are no
    images."""

    software: Mapping[str, str] = {}
    crop_settings: "CropSettings | None" = None

    def __init__(self, folder: Path) -> None:
        """Read the size of the vocabulary in a variant's folder. Raises DocumentError for a config without one."""
        config = read_document(folder / CONFIG)
        sizes = [node for node in map(config.get, VOCABULARY_KEYS) if node is not None]
        node = sizes[0] if sizes else config.require(VOCABULARY_KEYS[-1])
        self.ordinary_tokens: Sequence[int] = range(node.integer(minimum=1))

    def read(self, questions: Sequence[Question], *, variant: str) -> Sequence[Prompt]:
        """See Reader. Raises MeasurementError: there is no tokenizer."""
        raise MeasurementError(f"{variant}: random weights without a tokenizer read no texts and no images")


def open_reader(family: Path, manifest: Manifest) -> Reader:
    """The reader of a family: that of any of its variants. Raises DocumentError for files that are not what they must
    be."""
    folder = family / manifest.variants[0].folder
    if manifest.source.synthetic and not any((folder / name).exists() for name in TOKENIZER_FILES):
        return TokensOnly(folder)
    return PromptReader(folder)


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """What the prompts of a cell are made of: an image that is still to be read, if any, and the tokens of each row."""

    variant: str
    image: Image.Image | None
    rows: tuple[list[int], ...]


class PromptMaker:
    """The prompts of cells, the same for every visit of a cell."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def content(self, cell: Cell) -> Content:
        """What the prompts of a cell are made of."""
        rng = random.Random(cell.load)
        image = None if cell.image is None else noise_image(cell.image, rng)
        rows = tuple(self._tokens(rng, cell.text_tokens) for _ in range(cell.batch))
        return Content(variant=cell.variant, image=image, rows=rows)

    def prompts(self, content: Content, clock: StageClock) -> list[Prompt]:
        """The prompts themselves; `clock` is told when images are read."""
        if content.image is None:
            return [text_prompt(content.variant, ids) for ids in content.rows]
        questions = [Question(text=TEXT, image=content.image)] * len(content.rows)
        with clock.stage(IMAGE):
            read = self._reader.read(questions, variant=content.variant)
        return [longer(prompt, ids) for prompt, ids in zip(read, content.rows, strict=True)]

    def following(self, cell: Cell, steps: int) -> list[list[int]]:
        """Tokens that follow the prompts, [steps][batch]: not those that a model chooses, which on random text soon
        repeat, and then only few experts are read."""
        rng = random.Random(f"{cell.load} following")
        return [self._tokens(rng, cell.batch) for _ in range(steps)]

    def _tokens(self, rng: random.Random, count: int) -> list[int]:
        return [rng.choice(self._ordinary) for _ in range(count)]

    @cached_property
    def _ordinary(self) -> Sequence[int]:
        return self._reader.ordinary_tokens


def noise_image(size: Size, rng: random.Random) -> Image.Image:
    """An RGB image of random pixels."""
    return Image.frombytes("RGB", size, rng.randbytes(3 * size[0] * size[1]))


def text_prompt(variant: str, ids: list[int]) -> Prompt:
    """A prompt without an image."""
    return Prompt(variant=variant, arrays={INPUT_IDS: np.asarray(ids, np.int64)})


def longer(prompt: Prompt, ids: list[int]) -> Prompt:
    """The prompt with tokens behind it."""
    joined = np.concatenate([prompt.arrays[INPUT_IDS], np.asarray(ids, np.int64)])
    return Prompt(variant=prompt.variant, arrays={**prompt.arrays, INPUT_IDS: joined})


def workload_of(prompts: Sequence[Prompt]) -> Workload:
    """The sizes of prompts of one length: tokens that carry image features, and all others."""
    arrays = prompts[0].arrays
    vision = int((arrays[IMAGE_INPUT_IDX] >= 0).sum()) if IMAGE_INPUT_IDX in arrays else 0
    return Workload(batch=len(prompts), vision_tokens=vision, text_tokens=len(arrays[INPUT_IDS]) - vision)
