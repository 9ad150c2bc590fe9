"""All variants of a family run side by side, block by block from disk, and compared with the original that skips the
removed blocks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open

from exporter.reference.block_model import Advance, BlockModel, Tensors
from runtime.errors import CheckpointError, VerificationError


@dataclass(frozen=True, kw_only=True, slots=True)
class RunVariant:
    """A variant to run: `layers[i]` is the source block at layer i, `top_k[i]` its experts per token (None: dense),
    `model` its folder's."""

    id: str
    layers: tuple[int, ...]
    top_k: tuple[int, ...] | None
    model: BlockModel


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """What a variant answers: `logits` [batch, length, vocabulary], `experts[i]` [batch · length, k] ids chosen at
    layer i (None: dense)."""

    logits: torch.Tensor
    experts: tuple[torch.Tensor | None, ...]


def run_variants(
    variants: Sequence[RunVariant], *, source: BlockModel | None, inputs: Tensors, progress: Callable[[int], None]
) -> dict[str, Outputs]:
    """Run every variant on `inputs`; with `source`, compare each of its layers and its logits, bit by bit, with the
    masked original.

    The masked original is the source model that skips the removed blocks and routes each kept block with the variant's
    top_k, each block called with the source's own mask and positions. Source blocks are read once each, and so is each
    shard, whichever variants share it; at most one block is in memory. `progress` is told the bytes of each block run.
    Raises VerificationError naming variant, first layer that differs and the largest difference; CheckpointError,
    naming variant, layer and tensor, when the source's own numbers are not finite.
    """
    _check_depths(variants)
    reference = None if source is None else _Reference(source, variants, inputs)
    run = _Run(variants, reference, inputs)
    for block in sorted({block for variant in variants for block in variant.layers}):
        users = [variant for variant in variants if block in variant.layers]
        if reference is not None:
            progress(reference.advance(block, users))
        for group in _sharing(users, block):
            progress(run.advance(group, block))
    return {variant.id: run.finish(variant) for variant in variants}


def _check_depths(variants: Sequence[RunVariant]) -> None:
    for variant in variants:
        if variant.model.depth != len(variant.layers):
            raise VerificationError(
                f"variant {variant.id}: its config says {variant.model.depth} layers, planned are {len(variant.layers)}"
            )


class _Run:
    """What has been computed of each variant so far; every step is compared with `reference`, where there is one."""

    def __init__(self, variants: Sequence[RunVariant], reference: "_Reference | None", inputs: Tensors) -> None:
        non_block = _SharedNonBlock()
        self._reference, self._inputs = reference, inputs
        self._hidden = {variant.id: non_block.start(variant.model, inputs) for variant in variants}
        self._experts: dict[str, list[torch.Tensor | None]] = {variant.id: [] for variant in variants}
        if reference is not None:
            for variant in variants:
                _compare_start(variant, reference.now(variant).hidden, self._hidden[variant.id])

    def advance(self, group: Sequence[RunVariant], block: int) -> int:
        """Run a block of variants that share its shard; returns the bytes of its weights."""
        layer = group[0].layers.index(block)
        weights = group[0].model.read_layer(layer)
        for variant in group:
            step = variant.model.advance(layer, self._hidden[variant.id], weights)
            if self._reference is not None:
                _compare_layer(variant, layer, self._reference.now(variant), step)
            self._hidden[variant.id] = step.hidden
            self._experts[variant.id].append(step.experts)
        return _bytes(weights)

    def finish(self, variant: RunVariant) -> Outputs:
        """The outputs after the last block."""
        logits = variant.model.finish(self._hidden[variant.id], self._inputs)
        if self._reference is not None:
            _compare_logits(variant, self._reference.logits(variant), logits)
        return Outputs(logits=logits, experts=tuple(self._experts[variant.id]))


class _SharedNonBlock:
    """Non-block tensors of the variants, read once for all variants whose files and shapes are the same."""

    def __init__(self) -> None:
        self._read: dict[object, Tensors] = {}

    def start(self, model: BlockModel, inputs: Tensors) -> torch.Tensor:
        expected = model.non_block_expected()
        shapes = tuple((name, tuple(tensor.shape), tensor.dtype) for name, tensor in sorted(expected.items()))
        key = (_identity(model.weights.weight_map_of(None)), shapes)
        if key not in self._read:
            self._read[key] = model.read_non_block()
        model.place_non_block(self._read[key])
        return model.start(inputs)


class _Reference:
    """The masked original of every variant; variants that agree on their first blocks and top_k share the work."""

    def __init__(self, source: BlockModel, variants: Sequence[RunVariant], inputs: Tensors) -> None:
        self._source, self._inputs = source, inputs
        source.place_non_block(source.read_non_block())
        start = Advance(hidden=source.start(inputs), experts=None)
        self._now = {variant.id: start for variant in variants}
        # The source block after which a variant's numbers were first not finite; None: before the first one.
        self._broken: dict[str, int | None] = (
            {} if _finite(start.hidden) else {variant.id: None for variant in variants}
        )

    def now(self, variant: RunVariant) -> Advance:
        """What the masked original has at the block where the variant stands."""
        return self._now[variant.id]

    def advance(self, block: int, users: Sequence[RunVariant]) -> int:
        """Run source block `block` for every variant that keeps it; returns the bytes read."""
        weights = self._source.read_layer(block)
        done: dict[tuple[tuple[int, int | None], ...], Advance] = {}
        for variant in users:
            path = _path(variant, variant.layers.index(block) + 1)
            if path not in done:
                done[path] = self._source.advance(block, self.now(variant).hidden, weights, top_k=path[-1][1])
            self._now[variant.id] = done[path]
            if variant.id not in self._broken and not _finite(done[path].hidden):
                self._broken[variant.id] = block
        return _bytes(weights)

    def logits(self, variant: RunVariant) -> torch.Tensor:
        """The masked original's logits; CheckpointError when they are not finite."""
        logits = self._source.finish(self.now(variant).hidden, self._inputs)
        if not _finite(logits):
            raise CheckpointError(self._what_is_not_finite(variant))
        return logits

    def _what_is_not_finite(self, variant: RunVariant) -> str:
        weights, block = self._source.weights, self._broken.get(variant.id)
        if block is not None:
            where = f"from layer {variant.layers.index(block)} (source block {block}) on"
        else:
            where = "from the embeddings on" if variant.id in self._broken else "after the last layer"
        named, kind = _first_not_finite(weights.weight_map_of(block)), str(self._source.dtype).removeprefix("torch.")
        cause = (
            f"the weights there are finite, so the numbers overflow {kind}"
            if named is None
            else f"{named} holds NaN or infinity"
        )
        folder = next(iter(weights.weight_map_of(None).values())).parent
        fact = f"the source with the blocks of {variant.id} gives logits that are not finite, {where}"
        return f"{folder}: {fact}: {cause}; nothing can be verified with it"


def _finite(tensor: torch.Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())


def _first_not_finite(weight_map: Mapping[str, Path]) -> str | None:
    """The first of these tensors on disk that holds NaN or infinity, with its file; None when all are finite."""
    for path in sorted(set(weight_map.values())):
        with safe_open(path, framework="pt") as file:
            for name in sorted(name for name in weight_map if weight_map[name] == path):
                tensor = file.get_tensor(name)
                if tensor.is_floating_point() and not _finite(tensor if tensor.itemsize > 1 else tensor.float()):
                    return f'tensor "{name}" in {path.name}'
    return None


def _path(variant: RunVariant, layers: int) -> tuple[tuple[int, int | None], ...]:
    return tuple(
        (block, None if variant.top_k is None else variant.top_k[i]) for i, block in enumerate(variant.layers[:layers])
    )


def _sharing(users: Sequence[RunVariant], block: int) -> tuple[tuple[RunVariant, ...], ...]:
    """The variants that keep `block`, in groups that read the same bytes into the same shapes."""
    groups: dict[object, list[RunVariant]] = {}
    for variant in users:
        layer = variant.layers.index(block)
        key = (layer, _identity(variant.model.weights.weight_map_of(layer)), variant.model.layer_signature(layer))
        groups.setdefault(key, []).append(variant)
    return tuple(tuple(group) for group in groups.values())


def _identity(weight_map: Mapping[str, Path]) -> frozenset[tuple[str, int, int]]:
    """Each tensor's name with device and inode of its file: hard links to one file are the same."""
    files = {path: path.stat() for path in set(weight_map.values())}
    return frozenset((name, files[path].st_dev, files[path].st_ino) for name, path in weight_map.items())


def _bytes(tensors: Mapping[str, torch.Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors.values())


def same_bits(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Whether two tensors have the same shape, type and bits (so that NaN equals NaN, and 0.0 differs from −0.0)."""
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    return bool(torch.equal(first.contiguous().view(torch.uint8), second.contiguous().view(torch.uint8)))


def largest_difference(first: torch.Tensor, second: torch.Tensor) -> float:
    """max |first − second| in double precision; NaN where either has one."""
    return float((first.double() - second.double()).abs().max())


def _describe(what: str, expected: torch.Tensor, found: torch.Tensor) -> str:
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return (
            f"{what}: {found.dtype} {list(found.shape)}, the masked original has {expected.dtype} "
            f"{list(expected.shape)}"
        )
    return f"{what} differ from the masked original's, max |Δ| {largest_difference(expected, found):.3g}"


def _compare_start(variant: RunVariant, expected: torch.Tensor, found: torch.Tensor) -> None:
    if not same_bits(expected, found):
        raise VerificationError(f"variant {variant.id}: {_describe('before layer 0, the embeddings', expected, found)}")


def _compare_layer(variant: RunVariant, layer: int, expected: Advance, found: Advance) -> None:
    place = f"variant {variant.id}: layer {layer} (source block {variant.layers[layer]})"
    if (expected.experts is None) != (found.experts is None):
        raise VerificationError(
            f"{place}: {'no' if found.experts is None else 'an'} expert router, unlike the masked original"
        )
    if expected.experts is not None and found.experts is not None and not torch.equal(expected.experts, found.experts):
        if expected.experts.shape != found.experts.shape:
            raise VerificationError(
                f"{place}: {found.experts.shape[-1]} experts per token, planned are {expected.experts.shape[-1]}"
            )
        tokens = int((expected.experts != found.experts).any(dim=-1).sum())
        delta = largest_difference(expected.hidden, found.hidden)
        raise VerificationError(
            f"{place}: {tokens} of {len(found.experts)} tokens go to other experts than in the masked original, "
            f"max |Δ| {delta:.3g}"
        )
    if not same_bits(expected.hidden, found.hidden):
        raise VerificationError(f"{place}: {_describe('hidden states', expected.hidden, found.hidden)}")


def _compare_logits(variant: RunVariant, expected: torch.Tensor, found: torch.Tensor) -> None:
    if not same_bits(expected, found):
        raise VerificationError(f"variant {variant.id}: after the last layer, {_describe('logits', expected, found)}")
