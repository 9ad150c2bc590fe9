"""What the graphs must compute: the source with a variant's blocks and experts, run by transformers in float32, block
by block from disk."""

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest

import torch

from exporter.graphs.check.rounded_model import RoundedModel
from exporter.graphs.weights.precision import Precision, group_size
from exporter.graphs.weights.quantise import dequantise, group_scales, packed_codes
from exporter.graphs.weights.stored_tensor import Quantisation
from exporter.reference.block_model import Advance, BlockModel
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


class Reference:
    """A model in float32, a RoundedModel for a half precision; for a quantised one its matrices go through the same
    rounding here."""

    def __init__(self, files: ModelFiles, precision: Precision, *, like: "Reference | None" = None) -> None:
        """Read everything of the model of `files` but the blocks; see BlockModel. What is read is shared with a model
        `like` it, whose tensors outside the blocks are the same. Raises the error of `files`."""
        if precision.half:
            self._model: BlockModel = RoundedModel(files, kind=getattr(torch, precision.dtype))
        else:
            self._model = BlockModel(files, dtype=torch.float32)
        self._bits, self._matrix_bits = precision.bits, precision.matrix_bits
        self._non_block: Tensors = self._read_non_block() if like is None else like._non_block
        self._model.place_non_block(self._non_block)

    def _read_non_block(self) -> dict[str, torch.Tensor]:
        tensors = dict(self._model.read_non_block())
        if self._matrix_bits is not None and HEAD in tensors and not self._model.config.tie_word_embeddings:
            tensors[HEAD] = _rounded(HEAD, tensors[HEAD], self._matrix_bits)
        return tensors

    def embed(self, inputs: Tensors) -> torch.Tensor:
        """What goes into the first block, image features included: [rows, length, hidden]."""
        return self._model.start(inputs)

    def advance(self, layer: int, hidden: torch.Tensor, weights: Tensors, *, top_k: int | None) -> Advance:
        """Run one block on [rows, length, hidden] of the inputs last embedded; see BlockModel."""
        return self._model.advance(layer, hidden, weights, top_k=top_k)

    def finish(self, hidden: torch.Tensor, inputs: Tensors) -> torch.Tensor:
        """The logits [rows, length, vocabulary] behind the last block."""
        return self._model.finish(hidden, inputs)

    def weights(self, layer: int) -> Tensors:
        """The weights of one block, as the graphs store them."""
        weights = self._model.read_layer(layer)
        if self._bits is None or self._matrix_bits is None:
            return weights
        experts = {name: tensor for name, tensor in weights.items() if tensor.ndim == 3}
        widths = [tensor.shape[-1] for tensor in experts.values()]  # one group size for both of their matrices
        matrices = {name: tensor for name, tensor in weights.items() if tensor.ndim == 2 and not name.endswith(ROUTERS)}
        return {
            **weights,
            **{name: _rounded(name, tensor, self._bits, widths) for name, tensor in experts.items()},
            **{name: _rounded(name, tensor, self._matrix_bits) for name, tensor in matrices.items()},
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class ReferenceRun:
    """A variant to be run on `inputs`, those of all runs of this `model`: the model's layers that it keeps, the source
    block that stands at each, and `top_k` experts per token at each (None: the model's own)."""

    model: Reference
    inputs: Tensors
    layers: tuple[int, ...]
    blocks: tuple[int, ...]
    top_k: tuple[int, ...] | None

    def path(self, block: int) -> tuple[object, ...]:
        """What decides the hidden states behind a source block: model, layers and experts up to there."""
        count = self.blocks.index(block) + 1
        return id(self.model), self.layers[:count], self.top_k and self.top_k[:count]

    def advance(self, block: int, hidden: torch.Tensor, weights: Tensors) -> Advance:
        """Run one of its blocks."""
        place = self.blocks.index(block)
        k = None if self.top_k is None else self.top_k[place]
        return self.model.advance(self.layers[place], hidden, weights, top_k=k)


def run_side_by_side(
    variants: Mapping[str, ReferenceRun], progress: Callable[[float], None]
) -> Iterator[tuple[str, Expected]]:
    """What each of the variants computes, by its name.

    All go source block by source block in ascending order, so that the weights of a block, equal in all of them, are
    read once, the next while one is run; what two have in common at their beginning is run once. `progress` is told
    which share of the blocks has run, each time one has.
    """
    models = {id(run.model): run for run in variants.values()}
    starts = {model: run.model.embed(run.inputs) for model, run in models.items()}
    now = {name: Advance(hidden=starts[id(run.model)], experts=None) for name, run in variants.items()}
    experts: dict[str, list[torch.Tensor | None]] = {name: [] for name in variants}
    blocks = len({block for run in variants.values() for block in run.blocks})
    for block, weights in _ahead(variants.values()):
        done: dict[object, Advance] = {}
        for name, run in variants.items():
            if block in run.blocks:
                path = run.path(block)
                if path not in done:
                    done[path] = run.advance(block, now[name].hidden, weights)
                now[name] = done[path]
                experts[name].append(now[name].experts)
        progress(1 / blocks)
    for name, run in variants.items():
        yield name, Expected(logits=run.model.finish(now[name].hidden, run.inputs), experts=tuple(experts[name]))


def _ahead(variants: Collection[ReferenceRun]) -> Iterator[tuple[int, Tensors]]:
    """The weights of every block of the variants in ascending order, each read while the one before is in use."""
    readers = {
        block: partial(run.model.weights, layer)
        for run in variants
        for layer, block in zip(run.layers, run.blocks, strict=True)
    }
    with ThreadPoolExecutor(1) as pool:
        blocks = sorted(readers)
        reading = [pool.submit(readers[block]) for block in blocks[:1]]
        for block, following in zip_longest(blocks, blocks[1:]):
            weights = reading.pop().result()
            if following is not None:
                reading.append(pool.submit(readers[following]))
            yield block, weights


def _rounded(name: str, tensor: torch.Tensor, bits: int, widths: list[int] | None = None) -> torch.Tensor:
    """The tensor after quantisation and back."""
    size = min(group_size(width, bits, tensor=name) for width in widths or [tensor.shape[-1]])
    rows, how = tensor.numpy(), Quantisation(bits=bits, group_size=size)
    return torch.from_numpy(dequantise(packed_codes(rows, how), group_scales(rows, how), how))
