"""The fields of MolmoE's `preprocessor_config.json`, their defaults, and the geometry of crops that they say."""

from collections.abc import Mapping
from typing import Any

from .crops_trimoe_molmoe import CropSettings

# The hub's fields, with its values; it keeps `crop_mode`, `use_col_tokens` and `image_pooling_h/w` in code. Mean and
# standard deviation are CLIP's.
DEFAULTS: Mapping[str, Any] = {
    "max_crops": 12,
    "overlap_margins": [4, 4],
    "base_image_input_size": [336, 336],
    "image_token_length_w": 12,
    "image_token_length_h": 12,
    "image_patch_size": 14,
    "image_padding_mask": True,
    "image_pooling_h": 2,
    "image_pooling_w": 2,
    "crop_mode": "overlap-and-resize-c2",
    "use_col_tokens": True,
    "do_normalize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}


def with_defaults(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Every field, those that are absent or null as the hub has them; other keys are left out."""
    return {name: default if fields.get(name) is None else fields[name] for name, default in DEFAULTS.items()}


def crop_settings(fields: Mapping[str, Any]) -> CropSettings:
    """The checked geometry that all fields together say. ValueError for sizes that do not fit."""
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
