"""How MolmoE cuts an image into crops, and where the feature of each pooled patch goes among the image tokens."""

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from .resize_trimoe_molmoe import resize

# Kinds of image tokens, in the layout of one image.
START, END, PATCH, COLUMN = range(4)
NO_TOKEN = -100
CROP_MODES = ("overlap-and-resize-c2", "resize")


@dataclass(frozen=True, kw_only=True, slots=True)
class CropSettings:
    """Geometry of crops and tokens: pixels for sizes, patches for margins, tokens for the token grid. ValueError when
    they do not fit."""

    crop_mode: str
    base_size: tuple[int, int]
    patch_size: int
    token_grid: tuple[int, int]
    window: tuple[int, int]
    max_crops: int
    margins: tuple[int, int]
    use_col_tokens: bool
    mean: tuple[float, float, float] | None
    std: tuple[float, float, float] | None

    def __post_init__(self) -> None:
        """Check what every crop relies on."""
        if self.crop_mode not in CROP_MODES:
            raise ValueError(f"crop_mode is {self.crop_mode!r}; supported: {', '.join(map(repr, CROP_MODES))}")
        if self.max_crops < 1 or self.patch_size < 1 or min(self.window) < 1 or min(self.margins) < 0:
            raise ValueError(
                "max_crops, image_patch_size and image_pooling_h/w have to be at least 1, overlap_margins at least 0"
            )
        if self.base_size[0] % self.patch_size or self.base_size[1] % self.patch_size:
            raise ValueError(
                f"base_image_input_size is {list(self.base_size)}, not whole patches of {self.patch_size} px"
            )
        expected = pooled(self.patch_grid[0], self.window[0]), pooled(self.patch_grid[1], self.window[1])
        if self.token_grid != expected:
            raise ValueError(
                f"image_token_length_h/w is {self.token_grid[0]}x{self.token_grid[1]}, but "
                f"{self.patch_grid[0]}x{self.patch_grid[1]} patches "
                f"pooled {self.window[0]}x{self.window[1]} give {expected[0]}x{expected[1]} tokens"
            )
        if self.crop_mode == CROP_MODES[0]:
            self._check_overlap()

    def _check_overlap(self) -> None:
        if self.base_size[0] != self.base_size[1]:
            raise ValueError(f"base_image_input_size is {list(self.base_size)}; {self.crop_mode!r} needs square crops")
        if self.inner_patches < 1:
            raise ValueError(
                f"overlap_margins {list(self.margins)} leave nothing of the {self.patch_grid[0]} patches of a crop"
            )
        if any(margin % side for margin in self.margins for side in self.window):
            raise ValueError(
                f"overlap_margins {list(self.margins)} are not whole pooling windows of "
                f"{self.window[0]}x{self.window[1]} patches"
            )

    @property
    def patch_grid(self) -> tuple[int, int]:
        """Patches of one crop: (rows, columns)."""
        return self.base_size[0] // self.patch_size, self.base_size[1] // self.patch_size

    @property
    def inner_patches(self) -> int:
        """Patches along one side of a crop that no neighbouring crop covers better."""
        return self.patch_grid[0] - sum(self.margins)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImageCrops:
    """One image, cut.

    `patches` float32 [crops, patches, 3·patch²], the overview first; `masks` float32 [crops, patches], the share of
    picture; `layout` [tokens], the kinds of the image's tokens; `positions` [crops, token rows · columns], each
    feature's place in `layout` or −100.
    """

    patches: np.ndarray[Any, Any]
    masks: np.ndarray[Any, Any]
    layout: np.ndarray[Any, Any]
    positions: np.ndarray[Any, Any]


def pooled(patches: int, window: int) -> int:
    """Windows that cover this many patches; the last one may be incomplete."""
    return -(-patches // window)


def to_rgb(image: Any) -> np.ndarray[Any, Any]:
    """Turn a PIL image, or integers in 0–255 shaped [h, w], [h, w, 1], [h, w, 3] or [h, w, 4], into uint8 [h, w, 3];
    alpha is dropped."""
    if isinstance(image, Image.Image):
        if image.mode.startswith(("I", "F")):
            raise ValueError(
                f"images of mode {image.mode!r} have no fixed range of values; convert the image to 'L' or 'RGB'"
            )
        image = ImageOps.exif_transpose(image)
        image = np.array((image.convert("RGBA") if "transparency" in image.info else image).convert("RGB"))
    array = np.asarray(image)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise ValueError(
            f"an image array has shape {np.shape(image)}; supported: [height, width] and [height, width, 1, 3 or 4]"
        )
    if array.dtype != np.uint8:
        if not np.issubdtype(array.dtype, np.integer) or array.min() < 0 or array.max() > 255:
            raise ValueError(f"an image array has dtype {array.dtype}; supported: integers in 0–255")
        array = array.astype(np.uint8)
    return np.ascontiguousarray(np.repeat(array, 3, axis=2) if array.shape[2] == 1 else array[..., :3])


def resize_and_pad(
    image: np.ndarray[Any, Any], size: tuple[int, int]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Fit uint8 [h, w, 3] into `size`, keeping its shape, black around it; returns float32 pixels in 0–1 and the mask
    of picture pixels."""
    height, width = image.shape[:2]
    # The public code computes this in float32, and rarely the last pixel depends on it.
    scale = min(np.float32(size[1]) / np.float32(width), np.float32(size[0]) / np.float32(height))
    new = int(np.float32(height) * scale), int(np.float32(width) * scale)
    if 0 in new:
        raise ValueError(
            f"an image of {height}x{width} px is too narrow: fitted into {size[0]}x{size[1]} px it would be "
            f"{new[0]}x{new[1]}"
        )
    pixels = resize(image.astype(np.float32) / 255, new)
    top, left = (size[0] - new[0]) // 2, (size[1] - new[1]) // 2
    canvas = np.zeros((*size, 3), dtype=np.float32)
    mask = np.zeros(size, dtype=bool)
    canvas[top : top + new[0], left : left + new[1]] = pixels.clip(0, 1)
    mask[top : top + new[0], left : left + new[1]] = True
    return canvas, mask


def select_tiling(height: int, width: int, crop: int, max_crops: int) -> tuple[int, int]:
    """Choose (rows, columns) of at most `max_crops` tiles of `crop` px: the least enlargement of the image, else the
    least reduction."""
    tilings = [
        (rows, columns)
        for rows in range(1, max_crops + 1)
        for columns in range(1, max_crops + 1)
        if rows * columns <= max_crops
    ]
    tilings.sort(key=lambda one: (one[0] * one[1], one[0]))
    with np.errstate(divide="ignore"):  # an image no larger than the margins has no inner side
        scales = (np.array(tilings) * crop).astype(np.float32) / np.array([height, width], dtype=np.float32)
    required = scales.min(axis=1)
    if np.all(required < 1):
        return tilings[int(np.argmax(required))]
    return tilings[int(np.argmin(np.where(required < 1, np.float32(10e9), required)))]


def cut(image: np.ndarray[Any, Any], settings: CropSettings) -> ImageCrops:
    """Cut uint8 [h, w, 3] into crops as `crop_mode` says."""
    overview, mask = resize_and_pad(image, settings.base_size)
    first = to_patches(_normalize(overview, settings)[None], settings.patch_size)
    rows, columns = settings.token_grid
    layout = _layout(rows, columns, settings.use_col_tokens)
    positions = np.flatnonzero(layout == PATCH)[None]
    if settings.crop_mode == "resize":
        return ImageCrops(patches=first, masks=_picture_share(mask[None], settings), layout=layout, positions=positions)
    return _cut_overlapping(image, settings, first, layout, positions)


def _cut_overlapping(
    image: np.ndarray[Any, Any],
    settings: CropSettings,
    overview: np.ndarray[Any, Any],
    layout: np.ndarray[Any, Any],
    positions: np.ndarray[Any, Any],
) -> ImageCrops:
    size, inner = settings.base_size[0], settings.inner_patches * settings.patch_size
    margin = size - inner
    tiling = select_tiling(image.shape[0] - margin, image.shape[1] - margin, inner, settings.max_crops)
    pixels, mask = resize_and_pad(image, (tiling[0] * inner + margin, tiling[1] * inner + margin))
    pixels = _normalize(pixels, settings)
    corners = [(row * inner, column * inner) for row in range(tiling[0]) for column in range(tiling[1])]
    crops = np.stack([pixels[y : y + size, x : x + size] for y, x in corners])
    masks = _picture_share(np.stack([mask[y : y + size, x : x + size] for y, x in corners]), settings)
    grid = crop_positions(tiling, settings)
    detail = _layout(int(grid[0].max()) + 1, int(grid[1].max()) + 1, settings.use_col_tokens)
    places = np.flatnonzero(detail == PATCH).reshape(int(grid[0].max()) + 1, -1) + len(layout)
    tiles = np.where((grid[0] < 0) | (grid[1] < 0), NO_TOKEN, places[grid[0], grid[1]]).reshape(len(corners), -1)
    return ImageCrops(
        patches=np.concatenate([overview, to_patches(crops, settings.patch_size)]),
        # As the checkpoint was trained: the crops' masks start at the overview's place, and −1 fills up the end.
        masks=np.pad(masks, ((0, 1), (0, 0)), constant_values=-1),
        layout=np.concatenate([layout, detail]),
        positions=np.concatenate([positions, tiles]),
    )


def crop_positions(
    tiling: tuple[int, int], settings: CropSettings
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Row and column of every pooled patch of every crop in the joined grid, each [tiles down, tiles across, rows,
    columns]; −1 = dropped."""
    down = _axis_positions(tiling[0], settings.token_grid[0], settings.window[0], settings)
    across = _axis_positions(tiling[1], settings.token_grid[1], settings.window[1], settings)
    return tuple(np.broadcast_arrays(down[:, None, :, None], across[None, :, None, :]))  # type: ignore[return-value]


def _axis_positions(tiles: int, tokens: int, window: int, settings: CropSettings) -> np.ndarray[Any, Any]:
    """Joined-grid index of every pooled patch along one side, [tiles, tokens]: inner margins are dropped, outer ones
    kept."""
    left, right = settings.margins
    counts = [
        pooled(settings.inner_patches + (left if tile == 0 else 0) + (right if tile == tiles - 1 else 0), window)
        for tile in range(tiles)
    ]
    positions = np.full((tiles, tokens), -1)
    for tile, (count, end) in enumerate(zip(counts, accumulate(counts), strict=True)):
        start = 0 if tile == 0 else left // window
        positions[tile, start : start + count] = np.arange(end - count, end)
    return positions


def _layout(rows: int, columns: int, use_col_tokens: bool) -> np.ndarray[Any, Any]:
    row = [PATCH] * columns + [COLUMN] * use_col_tokens
    return np.array([START, *row * rows, END])


def _normalize(pixels: np.ndarray[Any, Any], settings: CropSettings) -> np.ndarray[Any, Any]:
    if settings.mean is not None:
        pixels = pixels - np.array(settings.mean, dtype=np.float32)
    return pixels if settings.std is None else pixels / np.array(settings.std, dtype=np.float32)


def _picture_share(masks: np.ndarray[Any, Any], settings: CropSettings) -> np.ndarray[Any, Any]:
    return to_patches(masks[..., None], settings.patch_size).astype(np.float32).mean(axis=-1)


def to_patches(images: np.ndarray[Any, Any], patch: int) -> np.ndarray[Any, Any]:
    """Reshape [n, h, w, c] into [n, patches, patch·patch·c], patches row by row."""
    count, height, width, channels = images.shape
    grid = images.reshape(count, height // patch, patch, width // patch, patch, channels).transpose(0, 1, 3, 2, 4, 5)
    return grid.reshape(count, (height // patch) * (width // patch), patch * patch * channels)
