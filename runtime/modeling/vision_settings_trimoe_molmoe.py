"""The `vision_backbone` part of a MolmoE configuration as a checked value, and the checks of the image grid."""

from dataclasses import asdict, dataclass, fields
from math import isqrt
from typing import Any

from transformers.activations import ACT2FN


@dataclass(frozen=True, kw_only=True, slots=True)
class VisionSettings:
    """Sizes of the vision tower (defaults: CLIP ViT-L/14 at 336 px with 23 layers, as in MolmoE-1B)."""

    image_model_type: str = "openai"
    image_default_input_size: tuple[int, int] = (336, 336)
    image_patch_size: int = 14
    image_pos_patch_size: int = 14
    image_emb_dim: int = 1024
    image_num_heads: int = 16
    image_num_key_value_heads: int = 16
    image_num_layers: int = 23
    image_head_dim: int = 64
    image_mlp_dim: int = 4096
    image_mlp_activations: str = "quick_gelu"
    image_dropout_rate: float = 0.0
    image_num_pos: int = 577
    image_norm_eps: float = 1e-5
    attention_dropout: float = 0.0
    residual_dropout: float = 0.0
    initializer_range: float = 0.02
    resize_mode: str = "default"

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """The default sizes as the dictionary a `config.json` holds."""
        return {**asdict(cls()), "image_default_input_size": [336, 336]}

    @classmethod
    def from_dict(cls, values: Any) -> "VisionSettings":
        """Build from `config.json`'s `vision_backbone`; keys that only concern training are left alone. ValueError if
        unsupported."""
        if not isinstance(values, dict):
            raise ValueError(f"config.vision_backbone is {values!r}; supported: null or an object")
        known = {one.name for one in fields(cls)}
        picked: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items() if key in known
        }
        return cls(**picked)

    def __post_init__(self) -> None:
        """Refuse sizes that do not fit together."""
        for name, supported in (("image_model_type", ("openai",)), ("resize_mode", ("default",))):
            if getattr(self, name) not in supported:
                raise ValueError(
                    f"config.vision_backbone.{name} is {getattr(self, name)!r}; supported: "
                    f"{', '.join(map(repr, supported))}"
                )
        if self.image_mlp_activations not in ACT2FN:
            raise ValueError(
                f"config.vision_backbone.image_mlp_activations is {self.image_mlp_activations!r}, unknown to "
                "transformers"
            )
        for name in [
            "image_patch_size",
            "image_emb_dim",
            "image_num_heads",
            "image_num_key_value_heads",
            "image_num_layers",
            "image_head_dim",
            "image_mlp_dim",
            "image_num_pos",
        ]:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"config.vision_backbone.{name} is {value!r}; supported: a positive integer")
        self._check_geometry()

    def _check_geometry(self) -> None:
        size = self.image_default_input_size
        if not isinstance(size, tuple) or len(size) != 2 or any(type(edge) is not int or edge < 1 for edge in size):
            raise ValueError(
                f"config.vision_backbone.image_default_input_size is {size!r}; supported: [height, width] in pixels"
            )
        if size[0] % self.image_patch_size or size[1] % self.image_patch_size:
            raise ValueError(
                f"config.vision_backbone.image_default_input_size is {list(size)}, not whole patches of "
                f"{self.image_patch_size} px"
            )
        if isqrt(self.image_num_pos - 1) ** 2 != self.image_num_pos - 1 or self.image_num_pos < 2:
            raise ValueError(
                f"config.vision_backbone.image_num_pos is {self.image_num_pos}; supported: 1 + a square number"
            )
        if self.image_num_heads % self.image_num_key_value_heads:
            raise ValueError(
                f"config.vision_backbone.image_num_key_value_heads is {self.image_num_key_value_heads}, "
                f"which does not divide image_num_heads {self.image_num_heads}"
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Patches of one crop: (rows, columns)."""
        height, width = self.image_default_input_size
        return height // self.image_patch_size, width // self.image_patch_size


def check_vit_layers(layers: Any, depth: int) -> None:
    """Refuse indices of vision layers that a tower of `depth` layers does not have (negative ones count from the
    end)."""
    if layers is None:
        return
    if (
        not isinstance(layers, (list, tuple))
        or not layers
        or any(type(one) is not int or not -depth <= one < depth for one in layers)
    ):
        raise ValueError(
            f"config.vit_layers is {layers!r}; supported: null or a list of integers from {-depth} to {depth - 1}"
        )


def check_grid(grid: tuple[int, int], pooling: str, window: tuple[int, int]) -> None:
    """Refuse windows that the patch grid cannot give, and windows of several patches when nothing pools them."""
    if pooling == "none" and window != (1, 1):
        raise ValueError(f"config.image_pooling_2d is 'none' with a window of {window[0]}x{window[1]}; supported: 1x1")
    if window[0] > grid[0] or window[1] > grid[1]:
        raise ValueError(
            f"config.image_pooling_h/w is {window[0]}x{window[1]}, larger than "
            f"the {grid[0]}x{grid[1]} patches of a crop"
        )
