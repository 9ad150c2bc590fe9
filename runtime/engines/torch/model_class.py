"""Which classes, of transformers or of runtime/modeling, run a checkpoint folder, and the config they read from it."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING, PreTrainedConfig, PreTrainedModel

from runtime.documents.family_layout import CONFIG
from runtime.engines.torch.modeling_classes import find_modeling_class
from runtime.errors import TrimoeError

# What the config and model classes of transformers raise for values they cannot take.
REFUSALS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def explain(cause: Exception) -> str:
    """What an error of transformers says, in one line; its kind where its text alone would not be understood."""
    text = " ".join(str(cause).split())
    return text if isinstance(cause, (ValueError, StrictDataclassError)) else f"{type(cause).__name__}: {text}"


def read_model_config(
    folder: Path, config: Mapping[str, Any], *, error: type[TrimoeError]
) -> tuple[type[PreTrainedModel], PreTrainedConfig]:
    """The model class for `folder` and its config as an object; `config` is its config.json, already read. Nothing is
    read from disk.

    A model type of transformers uses its classes, whatever `auto_map` says; another the classes of runtime/modeling
    that `auto_map` names, which the folder's own files must equal and which are run instead of them. Raises `error`
    naming the file for a type that neither knows and for a config that the classes refuse.
    """
    file, model_type = str(folder / CONFIG), config.get("model_type")
    if model_type in CONFIG_MAPPING:
        settings = build_config(CONFIG_MAPPING[model_type], config, file=file, error=error)
        return MODEL_FOR_CAUSAL_LM_MAPPING[type(settings)], settings
    config_class, model_class = (
        find_modeling_class(config, kind, file=file, error=error) for kind in ("AutoConfig", "AutoModelForCausalLM")
    )
    fitting = config_class is not None and model_class is not None and model_class.config_class is config_class
    if not fitting or config_class.model_type != model_type:
        raise error(f'{file}: model_type is "{model_type}", which neither transformers nor this trimoe knows')
    return model_class, build_config(config_class, config, file=file, error=error)


def build_config(
    kind: type[PreTrainedConfig], config: Mapping[str, Any], *, file: str, error: type[TrimoeError]
) -> PreTrainedConfig:
    """The config as an object of the class. Raises `error` naming `file` for one that the class refuses."""
    try:
        return kind.from_dict(copy.deepcopy(dict(config)))
    except (*REFUSALS, OSError, StrictDataclassError) as cause:
        raise error(f"{file}: refused by the model's config class: {explain(cause)}") from cause
