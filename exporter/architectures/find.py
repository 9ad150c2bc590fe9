"""Which architecture a config or a manifest names."""

from collections.abc import Mapping
from typing import Any

from exporter.architectures.architecture import Architecture
from exporter.architectures.supported import ARCHITECTURES
from runtime.documents.checked_json import Node, describe
from runtime.documents.manifest import Manifest
from runtime.errors import CheckpointError, VerificationError

DTYPES = ("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
NESTED_CONFIGS = ("text_config", "llm_config", "language_config", "thinker_config")


def find_architecture(config: Mapping[str, Any], *, file: str) -> Architecture:
    """The architecture of a source config, by its model_type.

    Raises CheckpointError for nested multimodal configs, for unknown model types (naming the known ones), for a field
    that must have a certain value and has not, and for an unknown dtype; DocumentError when model_type is missing or no
    string. `file` names the config in errors.
    """
    for key in NESTED_CONFIGS:
        if isinstance(config.get(key), Mapping):
            raise CheckpointError(
                f"{file}: {key}: the language model's config is nested, which no architecture here supports"
            )
    model_type = Node(value=dict(config), file=file).require("model_type").string()
    for architecture in ARCHITECTURES:
        if architecture.model_type == model_type:
            _check_required(architecture, config, file)
            _check_dtype(config, file)
            return architecture
    known = ", ".join(
        f"{architecture.model_type} ({architecture.name})"
        if architecture.model_type != architecture.name
        else architecture.name
        for architecture in ARCHITECTURES
    )
    raise CheckpointError(f'{file}: model_type: unknown architecture "{model_type}"; known model types: {known}')


def manifest_architecture(manifest: Manifest) -> Architecture:
    """The architecture that a family's manifest names. Raises VerificationError when this trimoe does not know it."""
    name = manifest.source.architecture
    for architecture in ARCHITECTURES:
        if architecture.name == name:
            return architecture
    known = ", ".join(architecture.name for architecture in ARCHITECTURES)
    raise VerificationError(f'the manifest names the architecture "{name}"; this trimoe knows {known}')


def _check_required(architecture: Architecture, config: Mapping[str, Any], file: str) -> None:
    for key, wanted in architecture.config.required_values:
        if key not in config:
            raise CheckpointError(
                f'{file}: the key "{key}" is missing; architecture {architecture.name} needs "{wanted}"'
            )
        if config[key] != wanted:
            raise CheckpointError(
                f'{file}: {key}: architecture {architecture.name} needs "{wanted}", found {describe(config[key])}'
            )


def _check_dtype(config: Mapping[str, Any], file: str) -> None:
    """Refuse a type that torch does not know: the variants' configs would carry it to where they are loaded."""
    for key in ("torch_dtype", "dtype"):
        value = config.get(key)
        if value is not None and value not in DTYPES:
            raise CheckpointError(f"{file}: {key}: {describe(value)} is no data type; known: {', '.join(DTYPES)}")
