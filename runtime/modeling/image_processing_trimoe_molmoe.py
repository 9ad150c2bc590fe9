"""Image processor of MolmoE: the hub's `preprocessor_config.json` fields, crops and masks out."""

from typing import Any

import numpy as np
from transformers.image_processing_utils import BaseImageProcessor, BatchFeature

from .crops_trimoe_molmoe import CropSettings, ImageCrops, cut, to_rgb
from .image_settings_trimoe_molmoe import DEFAULTS, crop_settings, with_defaults


class TrimoeMolmoeImageProcessor(BaseImageProcessor):  # type: ignore[misc]
    """Cuts images into crops of patches.

    The fields are those of the hub's `preprocessor_config.json` (DEFAULTS). ValueError when the geometry does not fit
    together.
    """

    model_input_names = ["images", "image_masks"]  # noqa: RUF012 - transformers reads it from the class

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{name: value for name, value in kwargs.items() if name not in DEFAULTS})
        for name, value in with_defaults(kwargs).items():
            setattr(self, name, list(value) if isinstance(value, (list, tuple)) else value)
        self.settings()

    def settings(self, **overrides: Any) -> CropSettings:
        """The checked geometry; keywords replace fields for one call. ValueError for an unknown field or sizes that do
        not fit."""
        unknown = sorted(set(overrides) - set(DEFAULTS))
        if unknown:
            raise ValueError(f"unknown image settings {unknown}; known: {', '.join(DEFAULTS)}")
        given = {name: value for name, value in overrides.items() if value is not None}
        return crop_settings({name: getattr(self, name) for name in DEFAULTS} | given)

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


TrimoeMolmoeImageProcessor.register_for_auto_class()
