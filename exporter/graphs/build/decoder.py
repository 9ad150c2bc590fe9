"""The decoder graph of one variant: fused attention, fused experts with their own k, fused residual norms. Built, not
traced."""

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from exporter.architectures.architecture import Architecture
from exporter.graphs.build.attention import (
    BATCH,
    SEQUENCE,
    TOTAL,
    add_attention,
    add_lengths,
    add_norm,
    add_residual,
)
from exporter.graphs.build.feed_forward import add_feed_forward
from exporter.graphs.build.graph_builder import GraphBuilder
from exporter.graphs.decoder_spec import DecoderSpec
from runtime.documents.graph_contract import ATTENTION_MASK, FIRST_LOGITS, INPUT_IDS, INPUTS_EMBEDS, LOGITS, PRESENT


def build_decoder(
    architecture: Architecture,
    spec: DecoderSpec,
    graph: GraphBuilder,
    *,
    layers: Sequence[int],
    top_k: Sequence[int] | None,
    metadata: Mapping[str, str],
) -> ir.Model:
    """The graph of the variant whose layer i is the source block `layers[i]` with `top_k[i]` experts per token.

    Inputs and outputs are those of the ORT-GenAI convention: `input_ids` [batch, sequence] (or `inputs_embeds` [batch,
    sequence, hidden]), `attention_mask` [batch, total], `past_key_values.N.key|value` [batch, kv_heads, past, head_dim]
    → `logits` [batch, sequence, vocabulary], `present.N.key|value`. Padding stands on the right and has mask 0. The
    optional input FIRST_LOGITS, int64 [1], is the first position of `sequence` whose logits are wanted (default 0: all;
    −1: the last). `graph` is empty and knows the weights.
    """
    return _Decoder(architecture, spec, graph).build(layers, top_k, metadata)


class _Decoder:
    def __init__(self, architecture: Architecture, spec: DecoderSpec, graph: GraphBuilder) -> None:
        self.parts, self.spec, self.graph = architecture.decoder, spec, graph

    def build(self, layers: Sequence[int], top_k: Sequence[int] | None, metadata: Mapping[str, str]) -> ir.Model:
        hidden = self._inputs()
        lengths = add_lengths(self.graph, self.graph.input(ATTENTION_MASK, ir.DataType.INT64, [BATCH, TOTAL]), hidden)
        normed = add_norm(
            self.graph, self.spec, hidden, f"blocks.{layers[0]}.attention_norm", "layers.0/attention_norm"
        )
        presents = []
        for layer, number in enumerate(layers):
            block, last = self.spec.blocks[number], layer + 1 == len(layers)
            attended, *present = add_attention(self.graph, self.parts, self.spec, block, normed, lengths, layer)
            presents.append(present)
            normed, hidden = add_residual(
                self.graph,
                self.spec,
                hidden,
                attended,
                f"blocks.{number}.feed_forward_norm",
                f"layers.{layer}/feed_forward_norm",
            )
            k = 0 if top_k is None else top_k[layer]
            fed = add_feed_forward(self.graph, self.spec, block, normed, layer=layer, k=k)
            following = "final_norm" if last else f"blocks.{layers[layer + 1]}.attention_norm"
            normed, hidden = add_residual(self.graph, self.spec, hidden, fed, following, f"layers.{layer}/output_norm")
        self._outputs(normed, presents)
        return self.graph.model("decoder", metadata)

    def _inputs(self) -> ir.Value:
        graph = self.graph
        if self.parts.inputs == INPUTS_EMBEDS:
            return graph.input(INPUTS_EMBEDS, graph.dtype, [BATCH, SEQUENCE, self.spec.hidden])
        tokens = graph.input(INPUT_IDS, ir.DataType.INT64, [BATCH, SEQUENCE])
        return graph.one("Gather", graph.weight("embeddings"), tokens, name="embeddings")

    def _outputs(self, normed: ir.Value, presents: Sequence[Sequence[ir.Value]]) -> None:
        graph, spec = self.graph, self.spec
        first = graph.optional_input(FIRST_LOGITS, [0])
        wanted = graph.one(
            "Slice",
            normed,
            first,
            graph.constant("to_the_end", [2**62]),
            graph.constant("axis_1", [1]),
            name="head/positions",
        )
        logits = graph.linear(wanted, "head", name="head")
        graph.output(logits, LOGITS, graph.dtype, [BATCH, "logits_length", spec.vocabulary])
        for layer, (key, value) in enumerate(presents):
            graph.output(key, f"{PRESENT}{layer}.key", graph.dtype, [BATCH, spec.kv_heads, TOTAL, spec.head_dim])
            graph.output(value, f"{PRESENT}{layer}.value", graph.dtype, [BATCH, spec.kv_heads, TOTAL, spec.head_dim])
