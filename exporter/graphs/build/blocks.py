"""The graphs that any variant is composed of: one of each source block with so many experts per token, and what stands
before and behind them."""

from collections.abc import Mapping

import onnx_ir as ir

from exporter.architectures.architecture import Architecture
from exporter.graphs.build.attention import (
    BATCH,
    SEQUENCE,
    TOTAL,
    Lengths,
    add_attention,
    add_norm,
    add_residual,
)
from exporter.graphs.build.feed_forward import add_feed_forward
from exporter.graphs.build.graph_builder import GraphBuilder
from exporter.graphs.decoder_spec import DecoderSpec
from runtime.documents.graph_contract import (
    HIDDEN,
    INPUT_IDS,
    INPUTS_EMBEDS,
    LAST_POSITIONS,
    LOGITS,
    NEXT_HIDDEN,
    PRESENT,
    TOTAL_LENGTH,
)


def build_block(
    architecture: Architecture,
    spec: DecoderSpec,
    graph: GraphBuilder,
    *,
    block: int,
    k: int | None,
    metadata: Mapping[str, str],
) -> ir.Model:
    """The graph of the source block with `k` experts per token (None: it has none), at whatever layer it stands.

    `hidden` [batch, sequence, width], `seqlens_k` int32 [batch] and `total_sequence_length` int32 [], which the caller
    computes once for all blocks, and `past_key_values.0.key|value` → `next_hidden`, `present.0.key|value`. `graph` is
    empty and knows the weights.
    """
    prefix, described = f"blocks.{block}.", spec.blocks[block]
    hidden = graph.input(HIDDEN, graph.dtype, [BATCH, SEQUENCE, spec.hidden])
    lengths = Lengths(
        last=graph.input(LAST_POSITIONS, ir.DataType.INT32, [BATCH]),
        total=graph.input(TOTAL_LENGTH, ir.DataType.INT32, []),
    )
    normed = add_norm(graph, spec, hidden, f"{prefix}attention_norm", "layers.0/attention_norm")
    attended, key, value = add_attention(graph, architecture.decoder, spec, described, normed, lengths, 0)
    normed, hidden = add_residual(
        graph, spec, hidden, attended, f"{prefix}feed_forward_norm", "layers.0/feed_forward_norm"
    )
    fed = add_feed_forward(graph, spec, described, normed, layer=0, k=k or 0)
    following = graph.one("Add", hidden, fed, name="layers.0/output")
    graph.output(following, NEXT_HIDDEN, graph.dtype, [BATCH, SEQUENCE, spec.hidden])
    for present, name in ((key, "key"), (value, "value")):
        graph.output(present, f"{PRESENT}0.{name}", graph.dtype, [BATCH, spec.kv_heads, TOTAL, spec.head_dim])
    return graph.model("block", metadata)


def build_token_embeddings(spec: DecoderSpec, graph: GraphBuilder, *, metadata: Mapping[str, str]) -> ir.Model:
    """`input_ids` [batch, sequence] → `inputs_embeds` [batch, sequence, width], for decoders that take ids."""
    tokens = graph.input(INPUT_IDS, ir.DataType.INT64, [BATCH, SEQUENCE])
    embeds = graph.one("Gather", graph.weight("embeddings"), tokens, name="embeddings")
    graph.output(embeds, INPUTS_EMBEDS, graph.dtype, [BATCH, SEQUENCE, spec.hidden])
    return graph.model("token_embeddings", metadata)


def build_head(spec: DecoderSpec, graph: GraphBuilder, *, metadata: Mapping[str, str]) -> ir.Model:
    """`hidden` [batch, sequence, width] behind the last block → `logits` [batch, sequence, vocabulary]."""
    hidden = graph.input(HIDDEN, graph.dtype, [BATCH, SEQUENCE, spec.hidden])
    logits = graph.linear(add_norm(graph, spec, hidden, "final_norm", "final_norm"), "head", name="head")
    graph.output(logits, LOGITS, graph.dtype, [BATCH, SEQUENCE, spec.vocabulary])
    return graph.model("head", metadata)
