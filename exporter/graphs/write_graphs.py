"""Writes the ONNX form of a family: one data file for each precision, and small graphs that point into it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import onnx_ir as ir

from exporter.family.variant_folder import FamilyFiles
from exporter.graphs.build.genai_config import DECODER, genai_config
from exporter.graphs.graph_set import GraphSource, build_graphs, generation_settings, plan_tensors
from exporter.graphs.weights.precision import Precision
from exporter.graphs.weights.stored_tensor import StoredTensor, View
from exporter.graphs.weights.write_data import write_weights
from exporter.plan.plan import Plan
from runtime.documents.checked_json import dump_document
from runtime.documents.family_layout import graph_data_name, graph_data_path, graph_folder, graph_path
from runtime.documents.graph_contract import INPUTS_EMBEDS, PACKED
from runtime.documents.tensor_digests import ShardDigests


def write_data(
    source: GraphSource, plan: Plan, precision: Precision, folder: Path, progress: Callable[[int], None]
) -> ShardDigests:
    """Write the data file of a precision below the family `folder`, streaming and durably; returns its record.
    `progress` is told bytes.

    Raises CheckpointError, SourceChangedError, PlanError, OSError.
    """
    tensors = plan_tensors(source, plan, precision)
    return write_weights(source.checkpoint.folder, tensors, folder, graph_data_path(precision.name), progress)


def write_graphs(
    source: GraphSource,
    plan: Plan,
    precision: Precision,
    files: FamilyFiles,
    *,
    auxiliary: Mapping[str, str],
    digest: str | None = None,
) -> None:
    """Write every graph of a precision beside its data file; `digest` is the family's, for their metadata.

    A text variant also gets a folder for onnxruntime-genai, which opens nothing outside it: genai_config.json and links
    to the graph, to the data file and to the `auxiliary` tokenizer files (name → path in the family). Raises PlanError,
    OSError.
    """
    for path, model in build_graphs(source, plan, precision, plan_tensors(source, plan, precision), digest=digest):
        files.write(path, to_bytes(model))
    if source.architecture.decoder.inputs == INPUTS_EMBEDS:
        return
    for variant in plan.variants:
        folder = f"{graph_folder(precision.name)}/{variant.id}"
        layers, packed = len(variant.layers), precision.name in PACKED
        document = genai_config(source.spec, generation_settings(source.checkpoint), layers=layers, packed=packed)
        files.write(f"{folder}/genai_config.json", dump_document(document))
        files.link(graph_path(precision.name, variant.id), f"{folder}/{DECODER}")
        files.link(graph_data_path(precision.name), f"{folder}/{graph_data_name(precision.name)}")
        for name, path in sorted(auxiliary.items()):
            files.link(path, f"{folder}/{name}")


def to_bytes(model: ir.Model) -> bytes:
    """The graph as it stands on disk; its weights stay where the external references point."""
    data: bytes = ir.to_proto(model).SerializeToString(deterministic=True)
    return data


def total_bytes(tensors: tuple[StoredTensor, ...]) -> int:
    """The bytes that writing them will report."""
    return sum(tensor.bytes for tensor in tensors if not isinstance(tensor.fill, View))
