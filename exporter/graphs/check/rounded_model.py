"""A source model that computes in float32 with its weights and tables rounded to the type that graphs store them in."""

from dataclasses import replace

import torch

from exporter.reference.block_model import BlockModel, Tensors
from exporter.reference.model_files import ModelFiles

CLIP = "clip_qkv"


class RoundedModel(BlockModel):
    """A BlockModel whose every stored number went through `kind`: weights, rotary tables, limits, resized image
    positions."""

    def __init__(self, files: ModelFiles, *, kind: torch.dtype) -> None:
        """Build the model without weights; see BlockModel."""
        self._kind = kind
        limit = files.config.get(CLIP)
        if limit is not None:
            files = replace(files, config={**files.config, CLIP: float(torch.tensor(limit).to(kind))})
        super().__init__(files, dtype=torch.float32)

    def read_non_block(self) -> dict[str, torch.Tensor]:
        """Read every tensor that belongs to no block."""
        return {name: self._round(tensor) for name, tensor in super().read_non_block().items()}

    def place_non_block(self, tensors: Tensors) -> None:
        """Take `tensors`; image positions, which are stored for the grid, are resized and rounded once."""
        super().place_non_block(tensors)
        for module in self._model.modules():
            if hasattr(module, "positional_embedding"):
                positions = self._round(module._positions())
                module._positions = lambda positions=positions: positions

    def read_layer(self, layer: int) -> dict[str, torch.Tensor]:
        """Read the weights of one block."""
        return {name: self._round(tensor) for name, tensor in super().read_layer(layer).items()}

    def start(self, inputs: Tensors) -> torch.Tensor:
        """Run everything before the first block; each block is then called with rounded cosines and sines."""
        hidden = super().start(inputs)
        for stand_in in self._stand_ins:
            stand_in.keywords["position_embeddings"] = tuple(map(self._round, stand_in.keywords["position_embeddings"]))
        return hidden

    def _round(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(self._kind).to(tensor.dtype) if tensor.is_floating_point() else tensor
