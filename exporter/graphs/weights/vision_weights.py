"""The tensors of MolmoE's vision graph: which of the source each is made of, and what has no ONNX form."""

from collections.abc import Iterator
from math import isqrt
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from exporter.checkpoint.checkpoint import Checkpoint
from exporter.graphs.weights.stored_forms import constant, stacked
from exporter.graphs.weights.stored_tensor import StoredTensor
from exporter.graphs.weights.write_data import read_tensor
from runtime.documents.family_layout import CONFIG
from runtime.errors import PlanError

BACKBONE = "model.vision_backbone."
TOWER = f"{BACKBONE}image_vit."
POSITIONS = "vision.positions"
ACTIVATIONS = ("quick_gelu",)
FUSED = ("wq", "wk", "wv")


def vision_tensors(checkpoint: Checkpoint, config: Any, dtype: str) -> Iterator[StoredTensor]:
    """Every tensor of the vision side under its name in the source; the tower's queries, keys and values are stacked as
    `….qkv.…`.

    `config` is a TrimoeMolmoeConfig with a vision backbone. Raises PlanError for activations and attention heads that
    no published MolmoE has.
    """
    _check(checkpoint, config)
    positions = _positions(checkpoint, config, dtype)
    yield constant(POSITIONS, positions, dtype)
    for name, record in checkpoint.tensors.items():
        if not name.startswith(BACKBONE) or name == f"{TOWER}positional_embedding":
            continue
        if name.startswith(TOWER) and ".attention.w" in name and ".wo." not in name:
            if ".wq." in name:
                parts = [checkpoint.tensors[name.replace(".wq.", f".{part}.")] for part in FUSED]
                yield stacked(name.replace(".wq.", ".qkv."), parts, dtype)
        else:
            yield stacked(name, (record,), dtype)


def _check(checkpoint: Checkpoint, config: Any) -> None:
    file, vision = checkpoint.folder / CONFIG, config.vision
    if vision.image_mlp_activations not in ACTIVATIONS:
        found, known = vision.image_mlp_activations, ", ".join(ACTIVATIONS)
        raise PlanError(f"{file}: vision_backbone.image_mlp_activations: {found!r} has no ONNX form here; {known} has")
    if vision.image_num_key_value_heads != vision.image_num_heads:
        heads = f"{vision.image_num_key_value_heads} key heads for {vision.image_num_heads} query heads"
        raise PlanError(
            f"{file}: vision_backbone.image_num_key_value_heads: {heads} have no ONNX form here; equal numbers have"
        )


def _positions(checkpoint: Checkpoint, config: Any, dtype: str) -> npt.NDArray[np.float32]:
    """The positional embeddings of the class token and the grid [1 + patches, width], resized as a model in `dtype`
    does for another grid."""
    record = checkpoint.tensors[f"{TOWER}positional_embedding"]
    trained = torch.from_numpy(read_tensor(checkpoint.folder, record)).to(getattr(torch, dtype)).float()
    first, patches = trained[:1], trained[1:]
    side = isqrt(patches.shape[0])
    if (side, side) != config.vision.grid:
        square = patches.reshape(1, side, side, -1).permute(0, 3, 1, 2)
        resized = functional.interpolate(
            square, size=config.vision.grid, mode="bicubic", align_corners=False, antialias=True
        )
        patches = resized.permute(0, 2, 3, 1).flatten(0, 2)
    positions: npt.NDArray[np.float32] = torch.cat([first, patches]).numpy()
    return positions
