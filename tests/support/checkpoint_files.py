"""The files of a checkpoint folder: weights with or without shards and index, config.json, and deliberately broken
safetensors files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import safetensors.torch


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write config.json."""
    (folder / "config.json").write_text(json.dumps(config, indent=2), "utf-8")


def write_weights(folder: Path, tensors: Mapping[str, Any], *, shards: int = 1) -> None:
    """Write `model.safetensors`, or `shards` files of about as many tensors each with
    `model.safetensors.index.json`; the tensors are all of numpy or all of torch."""
    if shards == 1:
        save_tensors(tensors, folder / "model.safetensors")
        return
    names, weight_map = list(tensors), {}
    for shard in range(shards):
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        chosen = names[len(names) * shard // shards : len(names) * (shard + 1) // shards]
        save_tensors({name: tensors[name] for name in chosen}, folder / file)
        weight_map |= dict.fromkeys(chosen, file)
    write_index(folder, weight_map, total_size=sum(tensor.nbytes for tensor in tensors.values()))


def save_tensors(tensors: Mapping[str, Any], path: Path) -> None:
    """Write one safetensors file with the metadata that transformers asks for."""
    of_numpy = all(isinstance(tensor, np.ndarray) for tensor in tensors.values())
    save = safetensors.numpy.save_file if of_numpy else safetensors.torch.save_file
    save(dict(tensors), path, metadata={"format": "pt"})


def write_index(folder: Path, weight_map: Mapping[str, Any], *, total_size: int = 0) -> None:
    """Write `model.safetensors.index.json`, whatever the weight map holds."""
    document = {"metadata": {"total_size": total_size}, "weight_map": dict(weight_map)}
    (folder / "model.safetensors.index.json").write_text(json.dumps(document), "utf-8")


def raw_file(header: Any, data: bytes = b"", *, length: int | None = None) -> bytes:
    """The bytes of a file with this header (JSON value or bytes) and data, whatever they are; `length` overrides the
    true header length."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(begin: int, end: int, *, dtype: Any = "U8", shape: Any = None) -> dict[str, Any]:
    """One tensor's header entry; a byte tensor that fills its range unless told otherwise."""
    return {"dtype": dtype, "shape": [end - begin] if shape is None else shape, "data_offsets": [begin, end]}
