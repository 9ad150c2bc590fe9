"""Which classes run a source checkpoint or a variant of it: a source that transformers does not know has the
architecture's own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedConfig, PreTrainedModel

from exporter.architectures.architecture import Architecture
from runtime.engines.torch import model_class
from runtime.errors import TrimoeError

_SOURCE_ONLY = ("model_type", "auto_map", "architectures")  # name the source's own code and type


def read_model_config(
    folder: Path, config: Mapping[str, Any], *, architecture: Architecture, error: type[TrimoeError]
) -> tuple[type[PreTrainedModel], PreTrainedConfig]:
    """The model class for `folder` and its config as an object; `config` is its config.json, already read. Nothing is
    read from disk.

    As runtime/engines/torch/model_class.py says, but for the source of an architecture that transformers does not know:
    the architecture's own classes run it. Raises `error` naming the file for a config of another architecture, and for
    one that the classes refuse.
    """
    model_type = config.get("model_type")
    if model_type not in (architecture.model_type, architecture.own_type.model_type):
        known = " or ".join(
            f'"{name}"' for name in (architecture.model_type, architecture.own_type.model_type) if name is not None
        )
        file = folder / "config.json"
        raise error(f'{file}: model_type is "{model_type}"; architecture {architecture.name} has {known}')
    return model_class.read_model_config(folder, runnable_config(config, architecture), error=error)


def runnable_config(config: Mapping[str, Any], architecture: Architecture) -> Mapping[str, Any]:
    """The config.json as the classes that run it read it: the source of an architecture that transformers does not know
    names the architecture's own."""
    if config.get("model_type") != architecture.model_type or not architecture.own_type.always:
        return config
    return {key: value for key, value in config.items() if key not in _SOURCE_ONLY} | {
        "model_type": architecture.own_type.model_type,
        "auto_map": dict(architecture.own_type.auto_map),
    }
