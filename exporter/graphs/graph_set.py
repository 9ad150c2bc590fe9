"""All graphs of a family in one precision: the tensors they point to, and each graph with its path. Built in memory,
nothing written."""

import importlib.metadata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from exporter.architectures.architecture import Architecture
from exporter.checkpoint.checkpoint import Checkpoint, source_digest
from exporter.graphs.block_graphs import block_pairs, build_block_graphs
from exporter.graphs.build.decoder import build_decoder
from exporter.graphs.build.embeddings import build_embeddings
from exporter.graphs.build.genai_config import token_ids
from exporter.graphs.build.graph_builder import GraphBuilder
from exporter.graphs.build.vision import build_vision
from exporter.graphs.decoder_spec import DecoderSpec, read_decoder
from exporter.graphs.weights.decoder_weights import decoder_tensors
from exporter.graphs.weights.precision import Precision
from exporter.graphs.weights.stored_tensor import StoredTensor, with_offsets
from exporter.graphs.weights.vision_weights import vision_tensors
from exporter.plan.plan import Plan, PlannedVariant
from exporter.reference.model_class import read_model_config
from runtime.documents.checked_json import read_document
from runtime.documents.family_layout import CONFIG, EMBEDDINGS, GENERATION_CONFIG, VISION, graph_data_name, graph_path
from runtime.documents.graph_contract import (
    ARCHITECTURE,
    CONTEXT_LENGTH,
    END_TOKENS,
    FAMILY_DIGEST,
    INPUTS_EMBEDS,
    LAYERS,
    OLDEST,
    OLDEST_ONNXRUNTIME,
    PAD_TOKEN,
    PADDING_SIDE,
    PRECISION,
    PROVIDERS,
    REMOVED_BLOCKS,
    RUNS_ON,
    SOURCE_DIGEST,
    TOP_K,
    TRIMOE_VERSION,
    VARIANT,
)
from runtime.documents.manifest import VariantRecord
from runtime.errors import CheckpointError


@dataclass(frozen=True, kw_only=True, slots=True)
class GraphSource:
    """What graphs are built from: the source, its family, its config as transformers reads it, and what its decoder
    computes."""

    checkpoint: Checkpoint
    architecture: Architecture
    config: Any
    spec: DecoderSpec

    @property
    def has_vision(self) -> bool:
        """Whether the model takes images."""
        return getattr(self.config, "vision_backbone", None) is not None


def read_source(plan: Plan) -> GraphSource:
    """Read what the graphs of a plan need. Raises CheckpointError for a config that is refused, PlanError for what
    graphs cannot compute."""
    checkpoint, architecture = plan.checkpoint, plan.architecture
    if "quantization_config" in checkpoint.config:
        place = f"{checkpoint.folder / CONFIG}: quantization_config"
        raise CheckpointError(
            f"{place}: graphs are made from unquantised checkpoints; export this one as safetensors only"
        )
    _, config = read_model_config(
        checkpoint.folder, checkpoint.config, architecture=architecture, error=CheckpointError
    )
    return GraphSource(
        checkpoint=checkpoint,
        architecture=architecture,
        config=config,
        spec=read_decoder(architecture, checkpoint, config),
    )


def shared_graphs(source: GraphSource) -> tuple[str, ...]:
    """The names of the graphs in front of the decoders, which all variants share."""
    embeddings = (EMBEDDINGS,) if source.architecture.decoder.inputs == INPUTS_EMBEDS else ()
    return (*embeddings, VISION) if source.has_vision else embeddings


def plan_tensors(source: GraphSource, plan: Plan, precision: Precision) -> tuple[StoredTensor, ...]:
    """The tensors of the precision's data file, with offsets: each source block that a variant keeps, once. Raises
    PlanError, CheckpointError."""
    blocks = frozenset(block for variant in plan.variants for block in variant.layers)
    tensors = list(decoder_tensors(source.architecture, source.checkpoint, source.spec, precision, blocks=blocks))
    if source.has_vision:
        tensors += vision_tensors(source.checkpoint, source.config, precision.dtype)
    return with_offsets(tensors)


def build_graphs(
    source: GraphSource, plan: Plan, precision: Precision, tensors: tuple[StoredTensor, ...], *, digest: str | None
) -> Iterator[tuple[str, ir.Model]]:
    """Every graph of the precision with its path relative to the family: one decoder a variant, the shared ones, and
    those of blocks."""
    weights = {tensor.name: tensor for tensor in tensors}
    metadata = _metadata(source, precision, digest)
    shared: dict[str, Any] = {
        "data_file": graph_data_name(precision.name),
        "dtype": precision.dtype,
        "metadata": metadata,
    }
    if source.architecture.decoder.inputs == INPUTS_EMBEDS:
        yield (
            graph_path(precision.name, EMBEDDINGS),
            build_embeddings(source.spec.hidden, weights, images=source.has_vision, **shared),
        )
    if source.has_vision:
        yield graph_path(precision.name, VISION), build_vision(source.config, weights, **shared)
    for name, model in build_blocks(source, plan, precision, weights, metadata):
        yield graph_path(precision.name, name), model
    for variant in plan.variants:
        yield graph_path(precision.name, variant.id), build_variant(source, variant, precision, weights, metadata)


def build_blocks(
    source: GraphSource,
    plan: Plan,
    precision: Precision,
    weights: Mapping[str, StoredTensor],
    shared: Mapping[str, str],
) -> Iterator[tuple[str, ir.Model]]:
    """The graphs of blocks, and those before and behind them, by name; `shared` is the metadata that all graphs
    have."""
    return build_block_graphs(
        source.architecture,
        lambda _: source.spec,
        block_pairs(plan.variants, lambda block: source.spec.blocks[block].sparse),
        lambda: GraphBuilder(weights, graph_data_name(precision.name), precision.dtype),
        shared,
    )


def build_variant(
    source: GraphSource,
    variant: PlannedVariant,
    precision: Precision,
    weights: Mapping[str, StoredTensor],
    shared: Mapping[str, str],
) -> ir.Model:
    """The decoder graph of one variant; `shared` is the metadata that all graphs have."""
    return build_decoder(
        source.architecture,
        source.spec,
        GraphBuilder(weights, graph_data_name(precision.name), precision.dtype),
        layers=variant.layers,
        top_k=variant.top_k,
        metadata={**shared, **variant_metadata(variant)},
    )


def variant_metadata(variant: PlannedVariant | VariantRecord) -> dict[str, str]:
    """What a decoder graph says of its variant."""
    return {
        VARIANT: variant.id,
        LAYERS: " ".join(map(str, variant.layers)),
        REMOVED_BLOCKS: " ".join(map(str, variant.removed)),
        TOP_K: " ".join(map(str, variant.top_k or ())),
    }


def generation_settings(checkpoint: Checkpoint) -> dict[str, Any]:
    """What the source says of its tokens: generation_config.json, else config.json. Raises DocumentError."""
    path = checkpoint.folder / GENERATION_CONFIG
    said = {name: node.value for name, node in read_document(path).items()} if path.is_file() else {}
    return {**checkpoint.config, **{name: value for name, value in said.items() if value is not None}}


def _metadata(source: GraphSource, precision: Precision, digest: str | None) -> dict[str, str]:
    tokens = generation_settings(source.checkpoint)
    return {
        **({} if digest is None else {FAMILY_DIGEST: digest}),
        TRIMOE_VERSION: importlib.metadata.version("trimoe"),
        ARCHITECTURE: source.architecture.name,
        SOURCE_DIGEST: source_digest(source.checkpoint),
        PRECISION: precision.name,
        PADDING_SIDE: "right",
        CONTEXT_LENGTH: str(len(source.spec.cos)),
        END_TOKENS: " ".join(map(str, token_ids(tokens.get("eos_token_id")))),
        PAD_TOKEN: " ".join(map(str, token_ids(tokens.get("pad_token_id")))),
        OLDEST_ONNXRUNTIME: OLDEST[precision.name],
        RUNS_ON: " ".join(PROVIDERS[precision.name]),
    }
