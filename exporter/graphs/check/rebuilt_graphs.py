"""Plans the decoder graphs of a finished family once more, from nothing but the family: to compare those on disk
with."""

import importlib.metadata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx_ir as ir
import torch

from exporter.architectures.architecture import Architecture
from exporter.architectures.dimensions import read_dimensions
from exporter.checkpoint.checkpoint import Checkpoint, TensorRecord
from exporter.checkpoint.safetensors_header import read_header
from exporter.graphs.block_graphs import block_pairs, build_block_graphs
from exporter.graphs.build.decoder import build_decoder
from exporter.graphs.build.graph_builder import GraphBuilder
from exporter.graphs.check.expected_graphs import ExpectedDecoder, ExpectedGraph
from exporter.graphs.check.reference import Expected, Reference, ReferenceRun, Tensors, run_side_by_side
from exporter.graphs.decoder_spec import DecoderSpec, read_decoder
from exporter.graphs.graph_set import variant_metadata
from exporter.graphs.weights.decoder_weights import decoder_tensors
from exporter.graphs.weights.precision import Precision
from exporter.graphs.weights.stored_tensor import StoredTensor, with_offsets
from exporter.reference.model_class import read_model_config
from exporter.reference.model_files import variant_files
from runtime.documents.checked_json import read_document
from runtime.documents.family_digest import family_digest
from runtime.documents.family_layout import CONFIG, EMBEDDINGS, HEAD, VISION, WEIGHTS, graph_data_name, graph_path
from runtime.documents.graph_contract import FAMILY_DIGEST, PRECISION
from runtime.documents.manifest import Manifest, VariantRecord
from runtime.documents.tensor_digests import read_tensor_digests
from runtime.errors import CheckpointError, DocumentError, PlanError, VerificationError


class RebuiltGraphs:
    """The graphs of a family in one type, as this version of trimoe plans them
    (exporter.graphs.check.expected_graphs.ExpectedGraphs). What they must answer is the answer of the variants'
    safetensors form."""

    origin = "the manifest"

    def __init__(self, folder: Path, manifest: Manifest, architecture: Architecture, precision: Precision) -> None:
        """The family below `folder`; what it holds is read when it is first needed."""
        self.folder, self.precision = folder, precision
        self._manifest, self._architecture = manifest, architecture
        self._tensors: Mapping[str, TensorRecord] | None = None
        self._weights: dict[str, StoredTensor] = {}
        self._specs: dict[str, DecoderSpec] = {}
        self._decoders: dict[str, ExpectedDecoder] = {}
        self._references: dict[str, Reference] = {}
        digest = family_digest(manifest.files, manifest.variants)
        self._says = {PRECISION: precision.name, FAMILY_DIGEST: digest}

    def shared(self) -> Mapping[str, ExpectedGraph]:
        """The graphs in front of the decoders by name; what they compute is not planned again."""
        listed = {record.path for record in self._manifest.files}
        paths = {name: graph_path(self.precision.name, name) for name in (EMBEDDINGS, VISION)}
        return {
            name: ExpectedGraph(path=self.folder / path, metadata=self._says, model=None)
            for name, path in paths.items()
            if path in listed
        }

    def decoder(self, variant: str) -> ExpectedDecoder:
        """The graph of the variant of that id, its weights where they stand in the data file of all variants.

        A graph of another version of trimoe is not compared node by node: this one may plan the same computation as
        other nodes. Raises VerificationError when it cannot be planned.
        """
        if variant not in self._decoders:
            record = self._manifest.variant(variant)
            with _planning(self.folder / record.folder):
                self._decoders[variant] = self._plan(record)
        return self._decoders[variant]

    def blocks(self) -> Mapping[str, ExpectedGraph]:
        """The graphs of blocks, and those before and behind them, by name; none where the family has none, as those of
        older versions of trimoe. Raises VerificationError when they cannot be planned."""
        variants = self._manifest.variants
        if all(record.path != graph_path(self.precision.name, HEAD) for record in self._manifest.files):
            return {}
        keeping = {block: variant for variant in reversed(variants) for block in variant.layers}
        with _planning(self.folder):
            models = build_block_graphs(
                self._architecture,
                lambda block: self._spec(keeping[block]),
                block_pairs(variants, lambda block: self._spec(keeping[block]).blocks[block].sparse),
                self._new_graph,
                {},
            )
            return {name: self._graph(name, dict(model.metadata_props), model) for name, model in models}

    def _plan(self, variant: VariantRecord) -> ExpectedDecoder:
        spec = self._spec(variant)
        model = build_decoder(
            self._architecture,
            spec,
            self._new_graph(),
            layers=variant.layers,
            top_k=variant.top_k,
            metadata={},
        )
        top_ks = variant.top_k or (None,) * len(variant.layers)
        top_k = tuple(k if spec.blocks[block].sparse else None for k, block in zip(top_ks, variant.layers, strict=True))
        graph = self._graph(variant.id, variant_metadata(variant), model)
        return ExpectedDecoder(graph=graph, top_k=top_k, positions=len(spec.cos))

    def _graph(self, name: str, says: Mapping[str, str], model: ir.Model) -> ExpectedGraph:
        written, this = self._manifest.trimoe, importlib.metadata.version("trimoe")
        other = written != this
        return ExpectedGraph(
            path=self.folder / graph_path(self.precision.name, name),
            metadata={**says, **self._says},
            model=None if other else model,
            note=f"not compared node by node: written by trimoe {written}, this is {this}" if other else "",
        )

    def _spec(self, variant: VariantRecord) -> DecoderSpec:
        """What the variant's decoder computes, as its folder says."""
        if variant.id not in self._specs:
            place = self.folder / variant.folder
            checkpoint, config = self._model(place)
            sparse = read_dimensions(self._architecture, checkpoint.config, file=str(place / CONFIG)).sparse
            if len(sparse) != len(variant.layers):
                what = f"{len(sparse)} layers, the manifest has {len(variant.layers)}"
                raise VerificationError(f"{place / CONFIG}: {what}")
            self._specs[variant.id] = read_decoder(self._architecture, checkpoint, config, layers=variant.layers)
            if not self._weights:
                blocks = frozenset(block for each in self._manifest.variants for block in each.layers)
                spec = self._specs[variant.id]
                tensors = decoder_tensors(self._architecture, checkpoint, spec, self.precision, blocks=blocks)
                self._weights = {tensor.name: tensor for tensor in with_offsets(tensors)}
        return self._specs[variant.id]

    def _new_graph(self) -> GraphBuilder:
        return GraphBuilder(self._weights, graph_data_name(self.precision.name), self.precision.dtype)

    def _model(self, place: Path) -> tuple[Checkpoint, Any]:
        """The source's tensors as far as the family has them, and the config at `place` as transformers reads it."""
        document = {key: node.value for key, node in read_document(place / CONFIG).items()}
        _, config = read_model_config(place, document, architecture=self._architecture, error=VerificationError)
        if self._tensors is None:
            self._tensors = _source_tensors(self.folder)
        tensors = self._tensors
        known = Checkpoint(
            folder=self.folder, config=document, config_sha256="", tensors=tensors, files=(), auxiliary=()
        )
        return known, config

    def embeddings(self, variant: str, inputs: Tensors) -> torch.Tensor:
        """What the variant of that id, run from its own folder, feeds to its first block. Raises VerificationError."""
        return self._reference(variant).embed(inputs)

    def answers(
        self, inputs: Mapping[str, Tensors], progress: Callable[[float], None]
    ) -> Iterator[tuple[str, Expected]]:
        """What each of the variants answers, run by its own folder's config. Raises VerificationError."""
        runs = {}
        for variant, asked in inputs.items():
            blocks = self._manifest.variant(variant).layers
            model, layers = self._reference(variant), tuple(range(len(blocks)))
            runs[variant] = ReferenceRun(model=model, inputs=asked, layers=layers, blocks=blocks, top_k=None)
        return run_side_by_side(runs, progress)

    def _reference(self, variant: str) -> Reference:
        if variant not in self._references:
            files = variant_files(self.folder / self._manifest.variant(variant).folder, self._architecture)
            like = next(iter(self._references.values()), None)
            self._references[variant] = Reference(files, self.precision, like=like)
        return self._references[variant]


def _source_tensors(folder: Path) -> dict[str, TensorRecord]:
    """The tensors of the family's shards by their names in the source."""
    tensors: dict[str, TensorRecord] = {}
    for shard in read_tensor_digests(folder):
        if not shard.path.startswith(f"{WEIGHTS}/"):
            continue
        records = {record.name: record for record in read_header(folder / shard.path)[0]}
        for tensor in shard.tensors:
            tensors[tensor.source] = replace(records[tensor.name], name=tensor.source)
    return tensors


@contextmanager
def _planning(place: Path) -> Iterator[None]:
    """Name what is planned where it cannot be."""
    try:
        yield
    except (DocumentError, CheckpointError, PlanError) as error:
        raise VerificationError(f"{place}: its graph cannot be planned again: {error}") from error
    except KeyError as error:
        raise VerificationError(
            f"{place}: its graph cannot be planned again: the family has no tensor {error}"
        ) from error
