"""Editing of a source's small files for a variant: config.json, and the processor files that name classes of the
source."""

import copy
from collections.abc import Mapping
from typing import Any

from exporter.architectures.architecture import Architecture
from exporter.architectures.dimensions import read_dimensions
from exporter.architectures.layer_fields import check_layer_fields, slice_layer_fields
from exporter.checkpoint.auxiliary_files import PROCESSOR_FILES
from runtime.documents.checked_json import describe, dump_document, parse_document
from runtime.errors import PlanError

LIST_KEY = "top_k_per_layer"
MODEL_CLASSES = ("AutoConfig", "AutoModel", "AutoModelForCausalLM")


def edit_config(
    architecture: Architecture,
    config: Mapping[str, Any],
    *,
    layers: tuple[int, ...],
    top_k: tuple[int, ...] | None,
    file: str = "config.json",
) -> dict[str, Any]:
    """The config of a variant whose layer i is the source's block `layers[i]` with `top_k[i]` experts per token (None:
    dense architecture).

    The depth and every per-block list follow the layers; the source's own top_k field keeps its value. Where top_k
    is the source's at all layers, a transformers architecture keeps its model_type and needs no remote code;
    elsewhere the variant gets the architecture's own model_type, `top_k_per_layer`, and the modeling file's classes.
    Remote code of the source is never named: it does not travel.

    Raises PlanError for fields that depend on block indices and that nobody understands (`check_layer_fields`) and for
    a source that already has `top_k_per_layer`, DocumentError for a depth, number of experts or top_k that is missing
    or out of range.
    """
    dimensions = read_dimensions(architecture, config, file=file)
    if config.get(LIST_KEY) is not None:
        raise PlanError(
            f"{file}: {LIST_KEY}: a key of trimoe's variants; with {describe(config[LIST_KEY])} this is no source "
            "to cut from"
        )
    check_layer_fields(architecture, config, blocks=dimensions.blocks, file=file)
    edited = copy.deepcopy(dict(config))
    edited.pop("auto_map", None)
    edited[architecture.config.depth_key] = len(layers)
    slice_layer_fields(architecture, edited, dimensions, layers)
    _check_divisor(architecture, edited, file)
    if architecture.has_own_type(top_k, dimensions.top_k):
        _own_type(architecture, edited)
    if top_k is not None and any(k != dimensions.top_k for k in top_k):
        edited[LIST_KEY] = list(top_k)
    return edited


def _check_divisor(architecture: Architecture, edited: Mapping[str, Any], file: str) -> None:
    if architecture.config.depth_divisor_key is None or edited.get(architecture.config.depth_divisor_key) is None:
        return
    size = edited[architecture.config.depth_divisor_key]
    depth = edited[architecture.config.depth_key]
    if not isinstance(size, int) or size < 1 or depth % size:
        raise PlanError(
            f"{file}: {architecture.config.depth_divisor_key}: {depth} blocks cannot be kept, the depth must be a "
            f"multiple of {size}"
        )


def _own_type(architecture: Architecture, edited: dict[str, Any]) -> None:
    edited["model_type"] = architecture.own_type.model_type
    edited["architectures"] = [architecture.own_type.architecture]
    edited["auto_map"] = dict(architecture.own_type.auto_map)


def edit_auxiliary(architecture: Architecture, name: str, data: bytes) -> bytes:
    """The bytes of an auxiliary file (tokenizer, processor, …) as they stand in a variant.

    Processor files that name the source's remote code get the architecture's own classes instead, or lose the
    reference where the architecture has none, because the source's code does not travel. Every other file, and a
    processor file without such a reference, is returned as it is. Raises DocumentError when a processor file is not
    a JSON object.
    """
    if name not in PROCESSOR_FILES:
        return data
    document = {key: node.value for key, node in parse_document(data, file=name).items()}
    edited = _edit_classes(architecture, document)
    return data if edited == document else dump_document(edited)


def _edit_classes(architecture: Architecture, document: dict[str, Any]) -> dict[str, Any]:
    """A processor's fields, and those of processors nested in it, with class names that mean something beside the
    variant's files."""
    classes = {key: value for key, value in architecture.own_type.auto_map if key not in MODEL_CLASSES}
    edited: dict[str, Any] = {}
    for key, value in document.items():
        if key == "auto_map" and isinstance(value, dict):
            edited[key] = {name: classes[name] for name in value if name in classes}
        elif key.endswith("processor") and isinstance(value, dict):
            edited[key] = _edit_classes(architecture, value)
        else:
            edited[key] = dict(architecture.own_type.processor_values).get(key, value)
    if "auto_map" in edited and not edited["auto_map"]:
        del edited["auto_map"]
    return edited
