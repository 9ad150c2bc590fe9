"""Image processor of MolmoE: the hub's `preprocessor_config.json` fields, crops and masks out."""

from typing import Any

import numpy as np
from transformers.image_processing_utils import BaseImageProcessor, BatchFeature
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from .crops_trimoe_molmoe import CropSettings, ImageCrops, cut, to_rgb

OVERRIDES = [
    "max_crops",
    "overlap_margins",
    "base_image_input_size",
    "image_token_length_w",
    "image_token_length_h",
    "image_patch_size",
    "image_padding_mask",
    "image_pooling_h",
    "image_pooling_w",
    "crop_mode",
    "use_col_tokens",
    "do_normalize",
    "image_mean",
    "image_std",
]


class TrimoeMolmoeImageProcessor(BaseImageProcessor):  # type: ignore[misc]
    """Cuts images into crops of patches.

    The fields are those of the hub's `preprocessor_config.json`; `crop_mode`, `use_col_tokens` and `image_pooling_h/w`,
    which the hub keeps in code, are fields here, with its values as defaults. ValueError when the geometry does not fit
    together.
    """

    model_input_names = ["images", "image_masks"]  # noqa: RUF012 - transformers reads it from the class

    def __init__(
        self,
        max_crops: int = 12,
        overlap_margins: Any = (4, 4),
        base_image_input_size: Any = (336, 336),
        image_token_length_w: int = 12,
        image_token_length_h: int = 12,
        image_patch_size: int = 14,
        image_padding_mask: bool = True,
        image_pooling_h: int = 2,
        image_pooling_w: int = 2,
        crop_mode: str = "overlap-and-resize-c2",
        use_col_tokens: bool = True,
        do_normalize: bool = True,
        image_mean: Any = None,
        image_std: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_crops = max_crops
        self.overlap_margins = list(overlap_margins)
        self.base_image_input_size = base_image_input_size
        self.image_token_length_w = image_token_length_w
        self.image_token_length_h = image_token_length_h
        self.image_patch_size = image_patch_size
        self.image_padding_mask = image_padding_mask
        self.image_pooling_h = image_pooling_h
        self.image_pooling_w = image_pooling_w
        self.crop_mode = crop_mode
        self.use_col_tokens = use_col_tokens
        self.do_normalize = do_normalize
        self.image_mean = list(OPENAI_CLIP_MEAN) if image_mean is None else image_mean
        self.image_std = list(OPENAI_CLIP_STD) if image_std is None else image_std
        self.settings()

    def settings(self, **overrides: Any) -> CropSettings:
        """The checked geometry; keywords replace fields for one call. ValueError for an unknown field or sizes that do
        not fit."""
        unknown = sorted(set(overrides) - set(OVERRIDES))
        if unknown:
            raise ValueError(f"unknown image settings {unknown}; known: {', '.join(OVERRIDES)}")
        fields = {name: getattr(self, name) if overrides.get(name) is None else overrides[name] for name in OVERRIDES}
        return CropSettings(
            crop_mode=fields["crop_mode"],
            base_size=_pair("base_image_input_size", fields["base_image_input_size"]),
            patch_size=fields["image_patch_size"],
            token_grid=(fields["image_token_length_h"], fields["image_token_length_w"]),
            window=(fields["image_pooling_h"], fields["image_pooling_w"]),
            max_crops=fields["max_crops"],
            margins=_pair("overlap_margins", fields["overlap_margins"]),
            use_col_tokens=fields["use_col_tokens"],
            mean=_channels("image_mean", fields["image_mean"]) if fields["do_normalize"] else None,
            std=_channels("image_std", fields["image_std"]) if fields["do_normalize"] else None,
        )

    def crop(self, image: Any, **overrides: Any) -> ImageCrops:
        """Cut one image (PIL, or an array of integers in 0–255) into crops, with the layout of its tokens."""
        return cut(to_rgb(image), self.settings(**overrides))

    def preprocess(self, images: Any, return_tensors: str | None = None, **overrides: Any) -> BatchFeature:
        """Cut images; returns `images` [n, crops, patches, 3·patch²] and `image_masks` [n, crops, patches], absent
        crops filled with −1."""
        given = images if isinstance(images, (list, tuple)) else [images]
        crops = [self.crop(image, **overrides) for image in given]
        data = {"images": stack_padded([one.patches for one in crops], -1.0)}
        if overrides.get("image_padding_mask", self.image_padding_mask):
            data["image_masks"] = stack_padded([one.masks for one in crops], -1.0)
        return BatchFeature(data, tensor_type=return_tensors)


def stack_padded(arrays: list[np.ndarray[Any, Any]], fill: float) -> np.ndarray[Any, Any]:
    """Stack arrays that differ in their first dimension, the shorter ones filled up with `fill`."""
    longest = max(len(array) for array in arrays)
    stacked = np.full((len(arrays), longest, *arrays[0].shape[1:]), fill, dtype=arrays[0].dtype)
    for row, array in zip(stacked, arrays, strict=True):
        row[: len(array)] = array
    return stacked


def _pair(name: str, value: Any) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int) and name == "base_image_input_size" else tuple(value)
    if len(pair) != 2 or any(type(one) is not int for one in pair):
        raise ValueError(f"{name} is {value!r}; supported: two integers")
    return pair[0], pair[1]


def _channels(name: str, value: Any) -> tuple[float, float, float]:
    channels = (value,) * 3 if isinstance(value, (int, float)) else tuple(value)
    if len(channels) != 3:
        raise ValueError(f"{name} is {value!r}; supported: a number or three numbers")
    return channels[0], channels[1], channels[2]


TrimoeMolmoeImageProcessor.register_for_auto_class()
