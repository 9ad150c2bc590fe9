"""What a benchmark visits: every variant under every load of a grid."""

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from profiles.errors import MeasurementError

if TYPE_CHECKING:
    from runtime.modeling.crops_trimoe_molmoe import CropSettings

Size = tuple[int, int]
_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", re.ASCII)
_COUNT = re.compile(r"[1-9][0-9]{0,6}", re.ASCII)
LEAST_TEXT_TOKENS = 4
ONE_CROP = "resize"  # the crop mode that cuts nothing


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """Batch sizes, image sizes in pixels (width, height; None: no image) and lengths of the text, all combined."""

    batches: tuple[int, ...]
    images: tuple[Size | None, ...]
    text_tokens: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One variant under one load."""

    variant: str
    batch: int
    image: Size | None
    text_tokens: int

    @property
    def load(self) -> str:
        """The load in a word, e.g. `4/336x336/64`."""
        image = "none" if self.image is None else f"{self.image[0]}x{self.image[1]}"
        return f"{self.batch}/{image}/{self.text_tokens}"

    @property
    def name(self) -> str:
        """The cell in a word, e.g. `b14-k4/4/336x336/64`."""
        return f"{self.variant}/{self.load}"


TEXT_GRID = Grid(batches=(1, 2, 4), images=(None,), text_tokens=(16, 64, 256))


def default_grid(sizes: Sequence[Size]) -> Grid:
    """What is measured unless the command line says otherwise: no image, and images of the sizes of `image_sizes`."""
    return replace(TEXT_GRID, images=(None, *sizes))


def image_sizes(crops: "CropSettings | None") -> tuple[Size, ...]:
    """The sizes (width, height) of images that a model cuts into one crop, a few and the most, none enlarged or
    reduced; without crops (None: a model of text) none."""
    if crops is None:
        return ()
    height, width = crops.base_size
    if crops.crop_mode == ONE_CROP:
        return ((width, height),)
    inner = crops.inner_patches * crops.patch_size
    margin = height - inner
    tilings = dict.fromkeys(_squarest(most) for most in (1, min(4, crops.max_crops), crops.max_crops))
    return tuple((columns * inner + margin, rows * inner + margin) for rows, columns in tilings)


def _squarest(most: int) -> tuple[int, int]:
    """(rows, columns) of the most tiles, at most `most`, that differ least; the more columns."""
    rows = math.isqrt(most)
    return rows, most // rows


def parse_grid(text: str, default: Grid) -> Grid:
    """A grid as the command line has it: `batch=1,4 image=none,336x336 text=16,64`, parts that are left out as in
    `default`. Raises MeasurementError naming the part and what it takes."""
    parts: dict[str, list[str]] = {}
    for word in text.split():
        key, equals, values = word.partition("=")
        if key not in ("batch", "image", "text") or not equals or key in parts:
            raise MeasurementError(f"grid: {word!r} is none of batch=…, image=…, text=…, each at most once")
        parts[key] = list(dict.fromkeys(values.split(",")))
    return Grid(
        batches=tuple(_count("batch", one) for one in parts["batch"]) if "batch" in parts else default.batches,
        images=tuple(_size(one) for one in parts["image"]) if "image" in parts else default.images,
        text_tokens=tuple(_count("text", one) for one in parts["text"]) if "text" in parts else default.text_tokens,
    )


def _count(part: str, text: str) -> int:
    least = LEAST_TEXT_TOKENS if part == "text" else 1
    if _COUNT.fullmatch(text) is None or int(text) < least:
        raise MeasurementError(f"grid: {part}={text}: expected a number of at least {least}")
    return int(text)


def _size(text: str) -> Size | None:
    if text == "none":
        return None
    found = _SIZE.fullmatch(text)
    if found is None:
        raise MeasurementError(f"grid: image={text}: expected none or WIDTHxHEIGHT in pixels, e.g. 336x336")
    return int(found[1]), int(found[2])


def cells(variants: Sequence[str], grid: Grid) -> tuple[Cell, ...]:
    """Every variant under every load of the grid."""
    combined = itertools.product(dict.fromkeys(variants), grid.batches, grid.images, grid.text_tokens)
    return tuple(
        Cell(variant=variant, batch=batch, image=image, text_tokens=text) for variant, batch, image, text in combined
    )
