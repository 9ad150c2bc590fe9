"""A transformers model whose blocks are streamed from disk: it holds the embeddings and the head, and runs one block at
a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from transformers import PreTrainedConfig, PreTrainedModel

from exporter.reference.block_weights import BlockWeights, dtype_on_disk, stored
from exporter.reference.load_probe import use_runnable_experts
from exporter.reference.model_class import read_model_config
from exporter.reference.model_files import ModelFiles
from exporter.reference.threads import using_threads
from runtime.documents.family_layout import CONFIG
from runtime.engines.torch.model_class import REFUSALS, explain
from runtime.text.counted import counted

Tensors = Mapping[str, torch.Tensor]
Signature = tuple[tuple[str, tuple[int, ...], torch.dtype], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Advance:
    """What one block made of its input: `hidden` [batch, length, width], `experts` [batch · length, k] chosen ids (None
    in a dense block)."""

    hidden: torch.Tensor
    experts: torch.Tensor | None


class _PassThrough(nn.Module):  # type: ignore[misc]
    """Stands in for a block: notes how the model calls it, and returns its input, or `replacement` where that is
    set."""

    def __init__(self) -> None:
        super().__init__()
        self.received: torch.Tensor | None = None
        self.keywords: dict[str, Any] = {}
        self.replacement: torch.Tensor | None = None

    def forward(self, hidden_states: torch.Tensor, **keywords: Any) -> torch.Tensor:
        """Return [batch, length, width] unchanged, or the replacement."""
        self.received, self.keywords = hidden_states, keywords
        return hidden_states if self.replacement is None else self.replacement


class BlockModel:
    """A causal language model whose blocks come from disk one by one.

    The model itself runs with stand-ins for its blocks: `start` finds what it feeds to the first block and with which
    keywords (masks, positions) it calls each; `advance` runs one real block with weights handed in; `finish` turns the
    last hidden states into logits with the model's own norm and head. Errors of the given class name the file and the
    tensor.
    """

    def __init__(self, files: ModelFiles, *, dtype: torch.dtype | None = None) -> None:
        """Build the model of `files` without weights; `dtype` overrides theirs."""
        architecture, error = files.architecture, files.error
        self.weights = BlockWeights(files)
        self._folder, self._error = files.folder, error
        model_class, self.config = read_model_config(files.folder, files.config, architecture=architecture, error=error)
        try:
            self._model = _build_without_weights(model_class, self.config, dtype or _dtype(self.config, files))
        except REFUSALS as cause:
            raise error(f"{files.folder / CONFIG}: no model can be built from it: {explain(cause)}") from cause
        use_runnable_experts(self._model)
        blocks = self._model.get_submodule(architecture.tensors.layers_attribute)
        self._blocks: tuple[nn.Module, ...] = tuple(blocks)
        self._stand_ins = tuple(_PassThrough() for _ in self._blocks)
        for index, stand_in in enumerate(self._stand_ins):
            blocks[index] = stand_in
        self._expected = tuple(stored(block) for block in self._blocks)
        extra = sorted(layer for layer in self.weights.layers if layer >= len(self._blocks))
        if extra:
            raise error(
                f"{self._folder}: tensors of layers {extra}, but config.json says there are {len(self._blocks)} layers"
            )
        self._ignore = (*(self._model._keys_to_ignore_on_load_unexpected or ()), *_old_names(self._model))

    @property
    def depth(self) -> int:
        """The number of blocks."""
        return len(self._blocks)

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type the model computes in."""
        dtype: torch.dtype = self._model.dtype
        return dtype

    def non_block_expected(self) -> dict[str, torch.Tensor]:
        """What a checkpoint holds besides the blocks, on the meta device until `place_non_block`."""
        return stored(self._model)

    def read_non_block(self) -> dict[str, torch.Tensor]:
        """Read every tensor that belongs to no block."""
        with using_threads(1):  # many small copies
            return self.weights.non_block(self.non_block_expected(), ignore=self._ignore)

    def place_non_block(self, tensors: Tensors) -> None:
        """Take `tensors` (from `read_non_block`, of this model or of one with the same) as parameters; they are shared,
        not copied."""
        for name, tensor in tensors.items():
            _put(self._model, name, tensor)
        self._model.tie_weights()
        _fill_buffers(self._model)
        self._refuse_absent([name for name, tensor in stored(self._model).items() if tensor.is_meta])

    def check_tensors(self, shapes: Mapping[str, Sequence[int]]) -> None:
        """Raise what reading would raise for names and shapes, without reading; `shapes` are those on disk by name. For
        use before `start`."""
        self._model.tie_weights()
        expected = self.non_block_expected()
        self.weights.check(None, expected, shapes=shapes, ignore=self._ignore)
        present = {id(expected[name]) for name in self.weights.weight_map_of(None) if name in expected}
        self._refuse_absent([name for name, tensor in expected.items() if id(tensor) not in present])
        for layer, block in enumerate(self._expected):
            self.weights.check(layer, block, shapes=shapes, ignore=self._ignore)

    def _refuse_absent(self, names: Sequence[str]) -> None:
        if names:
            raise self._error(f'{self._folder}: {counted(len(names), "tensor")} missing, first "{names[0]}"')

    def layer_signature(self, layer: int) -> Signature:
        """Names, shapes and types of a block's weights: two layers with the same files and signature can share what
        `read_layer` returns."""
        return tuple(
            (name, tuple(tensor.shape), tensor.dtype) for name, tensor in sorted(self._expected[layer].items())
        )

    def read_layer(self, layer: int) -> dict[str, torch.Tensor]:
        """Read the weights of one block."""
        with using_threads(1):  # many small copies
            return self.weights.layer(layer, self._expected[layer], ignore=self._ignore)

    def start(self, inputs: Tensors) -> torch.Tensor:
        """Run everything before the first block on `inputs` (keywords of the model's forward); returns [batch, length,
        width]."""
        self._stand_ins[0].replacement = None
        with torch.no_grad():
            self._model(**inputs, use_cache=False, logits_to_keep=1)
        received = self._stand_ins[0].received
        if received is None:
            raise self._error(f"{self._folder}: the model did not call its first block")
        return received

    def advance(self, layer: int, hidden: torch.Tensor, weights: Tensors, *, top_k: int | None = None) -> Advance:
        """Run block `layer` on [batch, length, width], called as the model calls it. `top_k` overrides the router's,
        where there is one."""
        block = self._blocks[layer]
        router = _find_router(block)
        chosen: list[torch.Tensor] = []
        hook = None
        if router is not None:
            if top_k is not None:
                router.top_k = top_k
            hook = router.register_forward_hook(lambda _module, _inputs, output: chosen.append(output[-1]))
        try:
            with torch.no_grad():
                result = functional_call(block, dict(weights), (hidden,), self._stand_ins[layer].keywords, strict=True)
        finally:
            if hook is not None:
                hook.remove()
        return Advance(hidden=result, experts=chosen[0] if chosen else None)

    def finish(self, hidden: torch.Tensor, inputs: Tensors) -> torch.Tensor:
        """The logits [batch, length, vocabulary] that the model's own norm and head give for the last block's
        output."""
        text = {name: inputs[name] for name in ("input_ids", "attention_mask") if name in inputs}
        self._stand_ins[0].replacement = hidden
        try:
            with torch.no_grad():
                logits: torch.Tensor = self._model(**text, use_cache=False).logits
        finally:
            self._stand_ins[0].replacement = None
        return logits


def _build_without_weights(
    model_class: type[PreTrainedModel], config: PreTrainedConfig, dtype: torch.dtype
) -> PreTrainedModel:
    """The model on the meta device. Raises one of REFUSALS when its config does not describe one."""
    with torch.device("meta"):
        model = model_class._from_config(config, dtype=dtype)
    return model.eval().requires_grad_(False)


def _old_names(model: PreTrainedModel) -> tuple[str, ...]:
    """Patterns of names that old checkpoints hold and `from_pretrained` passes over in this model: rotary frequencies,
    now computed."""
    rotary = any(name.endswith("rotary_emb.inv_freq") for name, _ in model.named_buffers())
    return (r"rotary_emb\.inv_freq$",) if rotary else ()


def _dtype(config: PreTrainedConfig, files: ModelFiles) -> torch.dtype:
    """The type `from_pretrained` would load in: the config's, else that of the first floating-point tensor."""
    if isinstance(config.dtype, torch.dtype):
        return config.dtype
    for name in sorted(files.weight_map, key=lambda name: (str(files.weight_map[name]), name)):
        found = dtype_on_disk(files.weight_map[name], name)
        if found.is_floating_point and found.itemsize > 1:
            return found
    raise files.error(f"{files.folder}: no floating-point tensor to take the model's type from")


def _put(model: nn.Module, name: str, tensor: torch.Tensor) -> None:
    """Make `tensor` the parameter or buffer called `name`, without a copy."""
    path, _, leaf = name.rpartition(".")
    module = model.get_submodule(path)
    if leaf in module._parameters:
        module._parameters[leaf] = nn.Parameter(tensor, requires_grad=False)
    else:
        module._buffers[leaf] = tensor


def _fill_buffers(model: PreTrainedModel) -> None:
    """Compute the buffers that no checkpoint holds (rotary frequencies), by the model's own initialisation, as
    `from_pretrained` does."""
    for module in model.modules():
        names = [name for name in module._non_persistent_buffers_set if module._buffers.get(name) is not None]
        if not any(module._buffers[name].is_meta for name in names):
            continue
        for name in names:
            module._buffers[name] = torch.full(
                module._buffers[name].shape, torch.nan, dtype=module._buffers[name].dtype
            )
        model._init_weights(module)
        unfilled = [name for name in names if module._buffers[name].isnan().any()]
        if unfilled:
            raise RuntimeError(f"{type(module).__name__}.{unfilled[0]} is not set by the model's initialisation")


def _find_router(block: nn.Module) -> nn.Module | None:
    """The module of a block that chooses experts: the one with weights and a top_k; None in a dense block."""
    for module in block.modules():
        if isinstance(getattr(module, "top_k", None), int) and "weight" in module._parameters:
            return module
    return None
