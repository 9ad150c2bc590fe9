"""Which classes of transformers, or of runtime/modeling, run a checkpoint folder, and the config they read from it."""

import copy
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING, PreTrainedConfig, PreTrainedModel

from exporter.architectures.architecture import Architecture
from runtime.errors import TrimoeError

# What the config and model classes of transformers raise for values they cannot take.
REFUSALS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def explain(cause: Exception) -> str:
    """What an error of transformers says, in one line; its kind where its text alone would not be understood."""
    text = " ".join(str(cause).split())
    return text if isinstance(cause, (ValueError, StrictDataclassError)) else f"{type(cause).__name__}: {text}"


def read_model_config(
    folder: Path, config: Mapping[str, Any], *, architecture: Architecture, error: type[TrimoeError]
) -> tuple[type[PreTrainedModel], PreTrainedConfig]:
    """The model class for `folder` and its config as an object; `config` is its config.json, already read. Nothing is
    read from disk.

    A model type of transformers uses its classes; one of trimoe uses the package's modeling files, which the
    folder's must equal; the source of an architecture that transformers does not know is run by the architecture's
    own classes. Raises `error` naming the file for a config that the classes refuse.
    """
    file = folder / "config.json"
    model_type = config.get("model_type")
    if model_type not in (architecture.model_type, architecture.own_type.model_type):
        known = " or ".join(
            f'"{name}"' for name in (architecture.model_type, architecture.own_type.model_type) if name is not None
        )
        raise error(f'{file}: model_type is "{model_type}"; architecture {architecture.name} has {known}')
    values = copy.deepcopy(dict(config))
    try:
        if model_type == architecture.own_type.model_type or architecture.own_type.always:
            if (
                model_type == architecture.model_type
            ):  # the source's own code and type do not apply to the architecture's classes
                values = {
                    key: value
                    for key, value in values.items()
                    if key not in ("model_type", "auto_map", "architectures")
                }
            names = dict(architecture.own_type.auto_map)
            config_class: type[PreTrainedConfig] = _packaged(names["AutoConfig"])
            model_class: type[PreTrainedModel] = _packaged(names["AutoModelForCausalLM"])
            return model_class, config_class.from_dict(values)
        plain = CONFIG_MAPPING[model_type].from_dict(values)
    except (*REFUSALS, OSError, StrictDataclassError) as cause:
        raise error(f"{file}: refused by the model's config class: {explain(cause)}") from cause
    return MODEL_FOR_CAUSAL_LM_MAPPING[type(plain)], plain


def _packaged(name: str) -> Any:
    """A class of runtime/modeling, by its name in auto_map ("module.Class")."""
    module, _, attribute = name.partition(".")
    return getattr(importlib.import_module(f"runtime.modeling.{module}"), attribute)
