"""Weights read from safetensors files under the names they have in memory: experts fused, nothing missing, nothing
unexpected."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from exporter.reference.model_files import ModelFiles, WeightMap
from runtime.text.counted import counted

FUSED = ("gate_up_proj", "down_proj")


class BlockWeights:
    """Reads the tensors of one checkpoint folder."""

    def __init__(self, files: ModelFiles) -> None:
        self._architecture, self._weight_map, self._error = files.architecture, files.weight_map, files.error
        self._by_layer: dict[int | None, dict[str, Path]] = {}
        for name, path in files.weight_map.items():
            split = files.architecture.split_name(name)
            self._by_layer.setdefault(None if split is None else split[0], {})[name] = path

    @property
    def layers(self) -> frozenset[int]:
        """The indices of the blocks that tensors belong to."""
        return frozenset(layer for layer in self._by_layer if layer is not None)

    def non_block(self, expected: Mapping[str, torch.Tensor], *, ignore: Sequence[str]) -> dict[str, torch.Tensor]:
        """All tensors of no block, under their names, converted to the dtypes of `expected` (which may be on the meta
        device).

        Names that match a regular expression of `ignore` are skipped; any other unknown name is an error, and so is a
        wrong shape. Names of `expected` that are absent are left out: tied weights have one name on disk.
        """
        targets = self._non_block_targets(expected, ignore)
        loaded = {}
        for name, tensor in self._read(targets):
            loaded[name] = torch.empty(expected[name].shape, dtype=expected[name].dtype)
            self._copy(name, tensor, loaded[name])
        return loaded

    def weight_map_of(self, layer: int | None) -> WeightMap:
        """The file of each tensor of the block at index `layer` (None: of no block), by name."""
        return self._by_layer.get(layer, {})

    def layer(
        self, layer: int, expected: Mapping[str, torch.Tensor], *, ignore: Sequence[str]
    ) -> dict[str, torch.Tensor]:
        """The tensors of the block at index `layer`, named and shaped like `expected` (parameter names inside the
        block, in memory).

        Raises an error naming the tensor when one is missing, unexpected, of another shape, or names an expert that
        does not exist.
        """
        loaded = {name: torch.empty(tensor.shape, dtype=tensor.dtype) for name, tensor in expected.items()}
        targets = self._layer_targets(layer, loaded, ignore)
        for name, tensor in self._read(targets):
            self._copy(name, tensor, targets[name])
        return loaded

    def check(
        self,
        layer: int | None,
        expected: Mapping[str, torch.Tensor],
        *,
        shapes: Mapping[str, Sequence[int]],
        ignore: Sequence[str],
    ) -> None:
        """Raise what `non_block` (None) or `layer` would raise for names and shapes, without reading: `shapes` are
        those on disk, by name."""
        targets = (
            self._non_block_targets(expected, ignore) if layer is None else self._layer_targets(layer, expected, ignore)
        )
        for name, target in targets.items():
            self._check_shape(name, shapes[name], target)

    def _non_block_targets(
        self, expected: Mapping[str, torch.Tensor], ignore: Sequence[str]
    ) -> dict[str, torch.Tensor]:
        """Where each tensor of no block goes, by its name on disk."""
        names = [name for name in self.weight_map_of(None) if name in expected or not self._ignored(name, ignore)]
        return {name: expected[name] for name in names}

    def _layer_targets(
        self, layer: int, loaded: Mapping[str, torch.Tensor], ignore: Sequence[str]
    ) -> dict[str, torch.Tensor]:
        """Where each tensor of a block goes, by its name on disk."""
        missing = set(self._disk_names(loaded))
        targets = {}
        for name in self.weight_map_of(layer):
            inside = name[len(self._architecture.layer_name(layer, "")) :]
            if inside in missing:
                missing.discard(inside)
                targets[name] = self._target(inside, loaded)
            else:
                self._ignored(name, ignore)
        if missing:
            first = self._architecture.layer_name(layer, min(missing))
            raise self._error(
                f'{self._folder()}: {counted(len(missing), "tensor")} of layer {layer} missing, first "{first}"'
            )
        return targets

    def _ignored(self, name: str, ignore: Sequence[str]) -> bool:
        """True for the name of a tensor that a model knows and does not use; any other is an error."""
        if any(re.search(pattern, name) for pattern in ignore):
            return True
        raise self._error(f'{self._weight_map[name]}: tensor "{name}" is no parameter of the model')

    def _folder(self) -> Path:
        return next(iter(self._weight_map.values())).parent

    def _disk_names(self, expected: Mapping[str, torch.Tensor]) -> Iterator[str]:
        """The names on disk, without the block's prefix, of the tensors that fill `expected`."""
        fused = self._fused_prefix()
        for name, tensor in expected.items():
            if fused is not None and name.startswith(fused) and name[len(fused) :] in FUSED:
                gate, up, down = self._architecture.tensors.expert_projections
                for expert in range(tensor.shape[0]):
                    for projection in (down,) if name.endswith("down_proj") else (gate, up):
                        yield f"{self._architecture.tensors.experts_prefix}{expert}.{projection}.weight"
            else:
                yield self._renamed(name)

    def _fused_prefix(self) -> str | None:
        """What the names of the fused expert parameters begin with, in memory."""
        prefix = self._architecture.tensors.experts_prefix
        for disk, memory in self._architecture.tensors.module_renames:
            if prefix is not None and prefix.startswith(disk):
                return memory + prefix[len(disk) :]
        return prefix

    def _renamed(self, name: str) -> str:
        for disk, memory in self._architecture.tensors.module_renames:
            if name.startswith(memory):
                return disk + name[len(memory) :]
        return name

    def _target(self, inside: str, loaded: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Where the tensor called `inside` its block on disk goes: a parameter, or the part of a fused one that belongs
        to an expert."""
        pattern = self._architecture.expert_pattern
        found = None if pattern is None else pattern.match(inside)
        if found is None:
            for disk, memory in self._architecture.tensors.module_renames:
                if inside.startswith(disk):
                    return loaded[memory + inside[len(disk) :]]
            return loaded[inside]
        expert, projection = int(found[1]), inside[found.end() :].removesuffix(".weight")
        gate, up, down = self._architecture.tensors.expert_projections
        if projection == down:
            return loaded[f"{self._fused_prefix()}down_proj"][expert]
        both = loaded[f"{self._fused_prefix()}gate_up_proj"][expert]
        half = both.shape[0] // 2
        return {gate: both[:half], up: both[half:]}[projection]

    def _copy(self, name: str, source: torch.Tensor, target: torch.Tensor) -> None:
        self._check_shape(name, source.shape, target)
        target.copy_(source)

    def _check_shape(self, name: str, shape: Sequence[int], target: torch.Tensor) -> None:
        if tuple(shape) != tuple(target.shape):
            found, needed = list(shape), list(target.shape)
            raise self._error(f'{self._weight_map[name]}: tensor "{name}" has shape {found}, the model needs {needed}')

    def _read(self, names: Iterable[str]) -> Iterator[tuple[str, torch.Tensor]]:
        """The tensors as mapped from their files, file by file, each file opened once."""
        by_file: dict[Path, list[str]] = {}
        for name in names:
            by_file.setdefault(self._weight_map[name], []).append(name)
        for path, wanted in by_file.items():
            try:
                with safe_open(path, framework="pt") as file:
                    for name in wanted:
                        yield name, file.get_tensor(name)
            except (SafetensorError, OSError) as error:
                raise self._error(f"{path}: cannot be read: {error}") from error


def stored(module: nn.Module) -> dict[str, torch.Tensor]:
    """The parameters and persistent buffers of a module by name: what a checkpoint holds for it. Tied ones under each
    of their names."""
    transient = {
        f"{prefix}.{name}" if prefix else name
        for prefix, child in module.named_modules()
        for name in child._non_persistent_buffers_set
    }
    buffers = {name: buffer for name, buffer in module.named_buffers(remove_duplicate=False) if name not in transient}
    return {**dict(module.named_parameters(remove_duplicate=False)), **buffers}


def dtype_on_disk(path: Path, name: str) -> torch.dtype:
    """The type of one tensor, without keeping its values."""
    with safe_open(path, framework="pt") as file:
        dtype: torch.dtype = file.get_tensor(name).dtype
    return dtype
