"""Plans the decoder graphs of a finished family once more, from nothing but the family: to compare those on disk
with."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx_ir as ir

from exporter.architectures.architecture import Architecture
from exporter.checkpoint.checkpoint import Checkpoint, TensorRecord
from exporter.checkpoint.safetensors_header import read_header
from exporter.graphs.build.decoder import build_decoder
from exporter.graphs.decoder_spec import DecoderSpec, read_decoder
from exporter.graphs.graph_set import data_file
from exporter.graphs.weights.decoder_weights import decoder_tensors
from exporter.graphs.weights.precision import Precision
from exporter.graphs.weights.stored_tensor import StoredTensor, lay_out
from exporter.reference.model_class import read_model_config
from runtime.documents.checked_json import read_document
from runtime.documents.manifest import Manifest, VariantRecord
from runtime.documents.tensor_digests import read_tensor_digests
from runtime.errors import CheckpointError, DocumentError, PlanError, VerificationError


class RebuiltGraphs:
    """The graphs of a family in one precision, as this version of trimoe plans them."""

    def __init__(self, folder: Path, manifest: Manifest, architecture: Architecture, precision: Precision) -> None:
        """The family below `folder`; what it holds is read when it is first needed."""
        self._folder, self._manifest, self._architecture, self._precision = folder, manifest, architecture, precision
        self._tensors: Mapping[str, TensorRecord] | None = None
        self._weights: dict[str, StoredTensor] = {}

    def build(self, variant: VariantRecord) -> tuple[Any, DecoderSpec]:
        """The variant's decoder as an onnx.ModelProto without metadata, and what it computes, its blocks by their
        source index.

        Its weights are where they stand in the data file of all variants. Raises VerificationError.
        """
        place = self._folder / variant.folder
        try:
            checkpoint, config = self._model(variant)
            spec = read_decoder(self._architecture, checkpoint, config, layers=variant.layers)
            if not self._weights:
                blocks = frozenset(block for each in self._manifest.variants for block in each.layers)
                tensors = decoder_tensors(self._architecture, checkpoint, spec, self._precision, blocks=blocks)
                self._weights = {tensor.name: tensor for tensor in lay_out(tensors)}
        except (DocumentError, CheckpointError, PlanError) as error:
            raise VerificationError(f"{place}: its graph cannot be planned again: {error}") from error
        except KeyError as error:
            raise VerificationError(
                f"{place}: its graph cannot be planned again: the family has no tensor {error}"
            ) from error
        return ir.to_proto(self._graph(variant, spec)), spec

    def _graph(self, variant: VariantRecord, spec: DecoderSpec) -> ir.Model:
        return build_decoder(
            self._architecture,
            spec,
            self._weights,
            layers=variant.layers,
            top_k=variant.top_k,
            data_file=data_file(self._precision),
            dtype=self._precision.dtype,
            metadata={},
        )

    def _model(self, variant: VariantRecord) -> tuple[Checkpoint, Any]:
        """The source's tensors as far as the family has them, and the variant's config as transformers reads it."""
        place = self._folder / variant.folder
        document = {key: node.value for key, node in read_document(place / "config.json").items()}
        _, config = read_model_config(place, document, architecture=self._architecture, error=VerificationError)
        if self._tensors is None:
            self._tensors = _source_tensors(self._folder)
        tensors = self._tensors
        return Checkpoint(
            folder=self._folder, config=document, config_sha256="", tensors=tensors, files=(), auxiliary=()
        ), config


def _source_tensors(folder: Path) -> dict[str, TensorRecord]:
    """The tensors of the family's shards by their names in the source."""
    tensors: dict[str, TensorRecord] = {}
    for shard in read_tensor_digests(folder):
        if not shard.path.startswith("weights/"):
            continue
        records = {record.name: record for record in read_header(folder / shard.path)[0]}
        for tensor in shard.tensors:
            tensors[tensor.source] = replace(records[tensor.name], name=tensor.source)
    return tensors
