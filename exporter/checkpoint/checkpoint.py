"""A source checkpoint as a value: its config and where every tensor's bytes stand. Reads headers, never weights."""

import hashlib
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from exporter.checkpoint.auxiliary_files import PICKLES, find_auxiliary
from exporter.checkpoint.lfs_pointer import refuse_pointer
from exporter.checkpoint.safetensors_header import SourceFile, TensorRecord, read_source_file
from runtime.documents.checked_json import Node, parse_document, read_bytes, read_document
from runtime.errors import CheckpointError

__all__ = ["Checkpoint", "SourceFile", "TensorRecord", "open_checkpoint"]

CONFIG = "config.json"
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
CONVERT = (
    "import torch, safetensors.torch; "
    'loaded = torch.load("{name}", map_location="cpu", weights_only=True); '
    'safetensors.torch.save_file({{k: v.clone() for k, v in loaded.items()}}, "model.safetensors", {{"format": "pt"}})'
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A checkpoint folder: parsed config, tensors by name (file order), files, the auxiliary files
    (tokenizer, …), and the names of files beside them that hold weights but do not belong to it."""

    folder: Path
    config: Mapping[str, Any]
    config_sha256: str
    tensors: Mapping[str, TensorRecord]
    files: tuple[SourceFile, ...]
    auxiliary: tuple[str, ...]
    unused: tuple[str, ...] = ()


def open_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint folder: config.json and the headers of its safetensors files.

    The weights are, in this order: the shards of model.safetensors.index.json; model.safetensors; the only
    *.safetensors file; a complete set named *-00001-of-0000N.safetensors. An index that stands beside a
    model.safetensors it does not name is refused as ambiguous. Links are followed (hub caches are links);
    metadata.total_size of an index is not read, because published ones are often wrong.

    Raises CheckpointError or DocumentError naming file and place: no folder, no config, a variant or family of trimoe,
    pickles only, missing shards, auxiliary files that cannot be used (`find_auxiliary`), paths out of the folder,
    index and shards that disagree, a tensor in two shards, malformed headers.
    """
    names = _list_folder(folder)
    config, config_sha256 = _read_config(folder, names)
    weight_map, shards = _find_shards(folder, names)
    tensors, files = _read_tensors(folder, weight_map, shards)
    return Checkpoint(
        folder=folder,
        config=config,
        config_sha256=config_sha256,
        tensors=tensors,
        files=files,
        auxiliary=find_auxiliary(folder, names),
        unused=tuple(name for name in names if name not in shards and _holds_weights(name)),
    )


def _read_tensors(
    folder: Path, weight_map: Mapping[str, str] | None, shards: tuple[str, ...]
) -> tuple[dict[str, TensorRecord], tuple[SourceFile, ...]]:
    """The tensors of all shards by name, checked against the index where there is one, and the shards as files."""
    tensors: dict[str, TensorRecord] = {}
    files = []
    for shard in shards:
        source, records, _ = read_source_file(folder / shard)
        files.append(source)
        for record in records:
            _add_tensor(tensors, record, weight_map, folder)
    for name, shard in (weight_map or {}).items():
        if name not in tensors:
            raise CheckpointError(
                f'{folder / INDEX}: weight_map: tensor "{name}" should be in {shard}, but that file does not hold it'
            )
    return tensors, tuple(files)


def _list_folder(folder: Path) -> tuple[str, ...]:
    if _is_file(folder):
        raise CheckpointError(f"{folder}: a file; give the checkpoint folder")
    try:
        return tuple(sorted(entry.name for entry in folder.iterdir()))
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder}: no such folder{_download(folder)}") from error
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be listed: {error.strerror or error}") from error


def _download(folder: Path) -> str:
    """How to get the checkpoint when what was given as a folder looks like the id of a model on a hub."""
    found = re.fullmatch(r"(?:https?:/+huggingface\.co/)?([\w.-]+/[\w.-]+)", str(folder), re.ASCII)
    if found is None or found[1].startswith("."):
        return ""
    name = found[1].partition("/")[2]
    return f"; if this is a model of the Hugging Face hub, download it first: hf download {found[1]} --local-dir {name}"


def _read_config(folder: Path, names: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    path = folder / CONFIG
    if CONFIG not in names:
        if "manifest.json" in names and "variants" in names:
            raise CheckpointError(
                f"{folder}: this is a family that trimoe exported, not "
                "a source checkpoint; its models are under variants/"
            )
        raise CheckpointError(f"{folder}: no {CONFIG}: not a checkpoint folder")
    family = folder.resolve().parent.parent
    if folder.resolve().parent.name == "variants" and _is_file(family / "manifest.json"):
        raise CheckpointError(
            f"{folder}: a variant of the family {family}, not a source checkpoint; export from the checkpoint it "
            "was cut from"
        )
    data = read_bytes(path)
    refuse_pointer(path, data)
    node = parse_document(data, file=str(path))
    config = {key: value.value for key, value in node.items()}
    model_type = config.get("model_type")
    if isinstance(model_type, str) and model_type.startswith("trimoe_"):
        raise CheckpointError(
            f'{path}: model_type "{model_type}": this is already a trimoe variant; export from the checkpoint it '
            "was cut from"
        )
    return config, hashlib.sha256(data).hexdigest()


def _add_tensor(
    tensors: dict[str, TensorRecord], record: TensorRecord, weight_map: Mapping[str, str] | None, folder: Path
) -> None:
    name = record.name
    if name in tensors:
        raise CheckpointError(f'{folder}: tensor "{name}" is in two files, {tensors[name].file} and {record.file}')
    if weight_map is not None and name not in weight_map:
        raise CheckpointError(f'{folder / record.file}: tensor "{name}" is in the file but not in {INDEX}')
    if weight_map is not None and weight_map[name] != record.file:
        raise CheckpointError(
            f'{folder / INDEX}: weight_map: tensor "{name}" should be in {weight_map[name]}, but is in {record.file}'
        )
    tensors[name] = record


def _find_shards(folder: Path, names: tuple[str, ...]) -> tuple[dict[str, str] | None, tuple[str, ...]]:
    """The index's weight map (None without an index) and the names of the weight files in order."""
    if INDEX in names:
        weight_map = _read_index(folder / INDEX)
        shards = tuple(sorted(set(weight_map.values())))
        if SINGLE in names and SINGLE not in shards:
            raise CheckpointError(
                f"{folder}: {SINGLE} and {INDEX} are both there and name "
                "different files; remove the one that is not meant"
            )
        return weight_map, shards
    found = [name for name in names if name.endswith(".safetensors")]
    if SINGLE in found:
        return None, (SINGLE,)
    if len(found) == 1:
        return None, (found[0],)
    if not found:
        _refuse_without_weights(folder, names)
    return None, _complete_set(folder, found)


def _read_index(path: Path) -> dict[str, str]:
    node = read_document(path).require("weight_map")
    weight_map = {name: _shard_name(entry) for name, entry in node.items()}
    if not weight_map:
        node.fail("names no tensor")
    for name, entry in node.items():
        if not _is_file(path.parent / weight_map[name]):
            entry.fail(f"the shard {weight_map[name]} is missing")
    return weight_map


def _shard_name(entry: Node) -> str:
    name = entry.string()
    if not name or name in (".", "..") or "/" in name or "\\" in name or "\0" in name:
        entry.fail(f"{name!r} is not a plain file name inside the folder")
    if not name.endswith(".safetensors"):
        entry.fail(f"{name!r} is not a .safetensors file")
    return name


def _complete_set(folder: Path, names: list[str]) -> tuple[str, ...]:
    parts = [found for name in names if (found := re.match(r"^(.*)-([0-9]{5})-of-([0-9]{5})\.safetensors$", name))]
    if len(parts) != len(names) or len({(part[1], part[3]) for part in parts}) != 1:
        raise CheckpointError(
            f"{folder}: {len(names)} safetensors files ({', '.join(names[:3])}, …) and no {INDEX} that says which "
            "belong together"
        )
    missing = sorted(set(range(1, int(parts[0][3]) + 1)) - {int(part[2]) for part in parts})
    if missing or len(names) != int(parts[0][3]):
        lacking = f"number {missing[0]} is missing" if missing else "there are more"
        raise CheckpointError(
            f"{folder}: no {INDEX}, and the files say that there are {int(parts[0][3])} shards, but {lacking}"
        )
    return tuple(names)


def _refuse_without_weights(folder: Path, names: tuple[str, ...]) -> NoReturn:
    pickles = [name for name in names if name.endswith(PICKLES)]
    if pickles:
        raise CheckpointError(
            f"{folder}: the weights are pickles ({pickles[0]}), which can run code and are never opened; "
            f"convert once, where you trust the file: python -c {shlex.quote(CONVERT.format(name=pickles[0]))}"
        )
    raise CheckpointError(f"{folder}: no safetensors file: expected {SINGLE} or {INDEX}")


def _holds_weights(name: str) -> bool:
    """Whether a file is called like weights; other pickles (training_args.bin, optimizer.pt) belong to a training."""
    return name.endswith((".safetensors", ".gguf")) or (
        name.endswith(PICKLES) and name.startswith(("pytorch_model", "consolidated", "model"))
    )


def _is_file(path: Path) -> bool:
    """Like Path.is_file, but false where the system refuses the question (name too long, no permission)."""
    return os.path.isfile(path)  # noqa: PTH113


def source_digest(checkpoint: Checkpoint) -> str:
    """The sha256 over the config's digest and, for each weight file in order, its name and header digest."""
    lines = [checkpoint.config_sha256, *(f"{file.header_sha256}  {file.name}" for file in checkpoint.files)]
    return hashlib.sha256("\n".join(lines).encode("utf-8")).hexdigest()
