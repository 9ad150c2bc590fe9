"""What the graphs must compute: the source with a variant's blocks and experts, run by transformers in float32, block
by block from disk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from exporter.graphs.check.rounded_model import RoundedModel
from exporter.graphs.weights.precision import Precision, group_size
from exporter.graphs.weights.quantise import dequantise, group_scales, packed_codes
from exporter.graphs.weights.stored_tensor import Quantisation
from exporter.reference.block_model import BlockModel
from exporter.reference.model_files import ModelFiles

Tensors = Mapping[str, torch.Tensor]
ROUTERS = ("gate.weight", "shared_expert_gate.weight")
HEAD = "lm_head.weight"


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """`logits` [rows, length, vocabulary]; `experts[i]` [rows · length, k] ids chosen at layer i (None in a dense
    layer)."""

    logits: torch.Tensor
    experts: tuple[torch.Tensor | None, ...]


def open_reference(files: ModelFiles, precision: Precision) -> "Reference":
    """A model folder as a reference for graphs of that precision; see BlockModel. Raises the error of `files`."""
    if precision.half:
        return Reference(RoundedModel(files, kind=getattr(torch, precision.dtype)), precision)
    return Reference(BlockModel(files, dtype=torch.float32), precision)


class Reference:
    """A model in float32, a RoundedModel for a half precision; for a quantised one its matrices go through the same
    rounding here."""

    def __init__(self, model: BlockModel, precision: Precision) -> None:
        """Read everything of `model`, which computes in float32, but the blocks. Raises the model's error."""
        self._model = model
        self._bits = precision.bits
        non_block = dict(self._model.read_non_block())
        if self._bits is not None and HEAD in non_block and not self._model.config.tie_word_embeddings:
            non_block[HEAD] = _rounded(HEAD, non_block[HEAD], self._bits)
        self._model.place_non_block(non_block)

    def embed(self, inputs: Tensors) -> torch.Tensor:
        """What goes into the first block, image features included: [rows, length, hidden]."""
        return self._model.start(inputs)

    def run(self, inputs: Tensors, *, blocks: Sequence[int], top_k: Sequence[int] | None) -> Expected:
        """Run the model's blocks `blocks` one after the other, with `top_k` experts per token (None: the model's
        own)."""
        hidden, experts = self._model.start(inputs), []
        for layer, block in enumerate(blocks):
            weights = self._weights(block)
            step = self._model.advance(block, hidden, weights, top_k=None if top_k is None else top_k[layer])
            hidden = step.hidden
            experts.append(step.experts)
        return Expected(logits=self._model.finish(hidden, inputs), experts=tuple(experts))

    def _weights(self, block: int) -> Tensors:
        weights = self._model.read_layer(block)
        if self._bits is None:
            return weights
        widths = [
            tensor.shape[-1] for name, tensor in weights.items() if tensor.ndim == 3
        ]  # one group size for both matrices of the experts
        return {
            name: tensor
            if tensor.ndim < 2 or name.endswith(ROUTERS)
            else _rounded(name, tensor, self._bits, widths if tensor.ndim == 3 else None)
            for name, tensor in weights.items()
        }


def _rounded(name: str, tensor: torch.Tensor, bits: int, widths: list[int] | None = None) -> torch.Tensor:
    """The tensor after quantisation and back."""
    size = min(group_size(width, bits, tensor=name) for width in widths or [tensor.shape[-1]])
    rows, how = tensor.numpy(), Quantisation(bits=bits, group_size=size)
    return torch.from_numpy(dequantise(packed_codes(rows, how), group_scales(rows, how), how))
