"""A checkpoint folder as a model is run from it: its config, the file of each tensor, what its errors are called."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporter.architectures.architecture import Architecture
from exporter.checkpoint.checkpoint import INDEX, Checkpoint
from runtime.documents.checked_json import read_document
from runtime.documents.family_layout import CONFIG
from runtime.errors import CheckpointError, DocumentError, TrimoeError, VerificationError

WeightMap = Mapping[str, Path]  # tensor name on disk -> the file that holds it


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFiles:
    """`config` is config.json, already read; `error` the class of the errors raised for what is wrong in the folder."""

    folder: Path
    config: Mapping[str, Any]
    architecture: Architecture
    weight_map: WeightMap
    error: type[TrimoeError]


def source_files(checkpoint: Checkpoint, architecture: Architecture) -> ModelFiles:
    """A source checkpoint; what is wrong in it is a CheckpointError."""
    return ModelFiles(
        folder=checkpoint.folder,
        config=checkpoint.config,
        architecture=architecture,
        weight_map={name: checkpoint.folder / record.file for name, record in checkpoint.tensors.items()},
        error=CheckpointError,
    )


def variant_files(folder: Path, architecture: Architecture) -> ModelFiles:
    """A variant's folder; what is wrong in it is a VerificationError. Raises one for its config and index."""
    try:
        config = {key: node.value for key, node in read_document(folder / CONFIG).items()}
        weight_map = read_weight_map(folder)
    except DocumentError as error:
        raise VerificationError(str(error)) from error
    return ModelFiles(
        folder=folder, config=config, architecture=architecture, weight_map=weight_map, error=VerificationError
    )


def read_weight_map(folder: Path) -> WeightMap:
    """The file of each tensor by a checkpoint folder's index. Raises DocumentError."""
    names = {name: node.string() for name, node in read_document(folder / INDEX).require("weight_map").items()}
    paths = {file: folder / file for file in set(names.values())}
    return {name: paths[file] for name, file in names.items()}
