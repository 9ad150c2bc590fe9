"""The first half of a decoder layer: one fused attention node whose past and present may share a buffer."""

from dataclasses import dataclass
from math import sqrt

import onnx_ir as ir

from exporter.architectures.decoder_tensors import DecoderTensors
from exporter.graphs.build.graph_builder import MICROSOFT, GraphBuilder
from exporter.graphs.decoder_spec import BlockSpec, DecoderSpec
from runtime.documents.graph_contract import PAST

BATCH, SEQUENCE, TOTAL = "batch_size", "sequence_length", "total_sequence_length"
PAST_LENGTH = "past_sequence_length"
# The node that fails, as its error names it.
REFUSED = "padding stands behind the tokens of each row, and there is none in several tokens over a cache"


@dataclass(frozen=True, kw_only=True, slots=True)
class Lengths:
    """What the kernel asks for: per row the index of its last real token, int32 [batch], and the common total length,
    an int32 scalar."""

    last: ir.Value
    total: ir.Value


def add_lengths(graph: GraphBuilder, mask: ir.Value, tokens: ir.Value) -> Lengths:
    """Lengths from an attention mask [batch, total], of which the `tokens` [batch, sequence, …] are the last.

    In a graph for the CPU what the attention kernel computes wrongly without an error is an error when the graph runs:
    several tokens of a row with padding that does not stand behind them, or with any over a cache.
    """
    counts = graph.one("ReduceSum", mask, graph.constant("axis_1", [1]), name="lengths/count", keepdims=0)
    total = graph.one("Shape", mask, name="lengths/shape", start=1, end=2)
    one = graph.constant("one", 1) if graph.half else _one_unless_wrong(graph, mask, tokens, counts, total)
    last = graph.one("Sub", counts, one, name="lengths/last")
    scalar = graph.one("Squeeze", total, name="lengths/total")
    int32 = int(ir.DataType.INT32)
    return Lengths(
        last=graph.one("Cast", last, name="lengths/last_int32", to=int32),
        total=graph.one("Cast", scalar, name="lengths/total_int32", to=int32),
    )


def _one_unless_wrong(
    graph: GraphBuilder, mask: ir.Value, tokens: ir.Value, counts: ir.Value, total: ir.Value
) -> ir.Value:
    """One for each row [batch], taken from a list of one number at an index that is beyond it where a row is refused:
    (last 1 − (count − 1) + (total − count) · (total − sequence)) · (sequence − 1), of which nothing is negative."""
    one, sequence = graph.constant("one", 1), graph.one("Shape", tokens, name="lengths/new", start=1, end=2)
    last = graph.one("ArgMax", mask, name="lengths/last_one", axis=1, keepdims=0, select_last_index=1)
    gap = graph.one("Sub", last, graph.one("Sub", counts, one, name="lengths/before"), name="lengths/gap")
    padding = graph.one("Sub", total, counts, name="lengths/padding")
    past = graph.one("Sub", total, sequence, name="lengths/past")
    over = graph.one("Mul", padding, past, name="lengths/padding_over_past")
    several = graph.one("Sub", sequence, one, name="lengths/several")
    wrong = graph.one("Mul", graph.one("Add", gap, over, name="lengths/wrong"), several, name="lengths/wrong_index")
    return graph.one("Gather", graph.constant("one_1d", [1]), wrong, name=REFUSED)


def add_norm(graph: GraphBuilder, spec: DecoderSpec, value: ir.Value, weight: str, name: str) -> ir.Value:
    """RMS norm over the last dimension, computed in float32."""
    return graph.one(
        "RMSNormalization", value, graph.weight(weight), name=name, axis=-1, epsilon=spec.epsilon, stash_type=1
    )


def add_residual(
    graph: GraphBuilder, spec: DecoderSpec, hidden: ir.Value, added: ir.Value, weight: str, name: str
) -> tuple[ir.Value, ir.Value]:
    """hidden + added, normed and as it is. Outputs 1 and 2 are not produced on the CPU, so they have no name."""
    normed, mean, deviation, total = graph.node(
        "SkipSimplifiedLayerNormalization",
        [hidden, added, graph.weight(weight)],
        name=name,
        outputs=4,
        domain=MICROSOFT,
        epsilon=spec.epsilon,
    )
    mean.name = deviation.name = ""
    return normed, total


def add_attention(
    graph: GraphBuilder,
    parts: DecoderTensors,
    spec: DecoderSpec,
    block: BlockSpec,
    normed: ir.Value,
    lengths: Lengths,
    layer: int,
) -> tuple[ir.Value, ir.Value, ir.Value]:
    """Attention of one layer over [batch, sequence, hidden]: its output of the same shape, and the present key and
    value."""
    prefix, name = f"blocks.{block.block}.", f"layers.{layer}/attention"
    qkv = graph.linear(normed, prefix + "qkv", name=f"{name}/qkv")
    query, key, value = _heads(graph, parts, spec, prefix, name, qkv)
    shape: list[int | str] = [BATCH, spec.kv_heads, PAST_LENGTH, spec.head_dim]
    past_key = graph.input(f"{PAST}{layer}.key", graph.dtype, shape)
    past_value = graph.input(f"{PAST}{layer}.value", graph.dtype, shape)
    attended, present_key, present_value = graph.node(
        "GroupQueryAttention",
        [
            query,
            key,
            value,
            past_key,
            past_value,
            lengths.last,
            lengths.total,
            graph.weight("rotary.cos"),
            graph.weight("rotary.sin"),
        ],
        name=name,
        outputs=3,
        domain=MICROSOFT,
        num_heads=spec.heads,
        kv_num_heads=spec.kv_heads,
        do_rotary=1,
        scale=1.0 / sqrt(spec.head_dim),
        local_window_size=-1 if block.window is None else block.window,
    )
    return graph.linear(attended, prefix + "attention_output", name=f"{name}/output"), present_key, present_value


def _heads(
    graph: GraphBuilder, parts: DecoderTensors, spec: DecoderSpec, prefix: str, name: str, qkv: ir.Value
) -> tuple[ir.Value, ir.Value | None, ir.Value | None]:
    """Query, key and value as attention takes them: packed when nothing happens in between, else split, normed and
    clipped."""
    has_norm = prefix + "query_norm" in graph
    if not has_norm and spec.clip is None:
        return qkv, None, None
    if spec.clip is not None and parts.clip_before_norm:
        qkv = _clip(graph, qkv, f"{name}/clip")
    widths = graph.constant(
        "qkv_widths", [spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim, spec.kv_heads * spec.head_dim]
    )
    query, key, value = graph.node("Split", [qkv, widths], name=f"{name}/split", outputs=3, axis=-1)
    if has_norm:
        query = _head_norm(graph, spec, query, prefix + "query_norm", spec.heads, f"{name}/query_norm")
        key = _head_norm(graph, spec, key, prefix + "key_norm", spec.kv_heads, f"{name}/key_norm")
    if spec.clip is not None and not parts.clip_before_norm:
        query, key, value = (
            _clip(graph, each, f"{name}/clip_{kind}")
            for each, kind in ((query, "query"), (key, "key"), (value, "value"))
        )
    return query, key, value


def _clip(graph: GraphBuilder, value: ir.Value, name: str) -> ir.Value:
    # Not a Clip node: CUDA has no bfloat16 kernel of it.
    return graph.one(
        "Min",
        graph.one("Max", value, graph.weight("clip.low"), name=f"{name}_low"),
        graph.weight("clip.high"),
        name=name,
    )


def _head_norm(graph: GraphBuilder, spec: DecoderSpec, value: ir.Value, weight: str, heads: int, name: str) -> ir.Value:
    """RMS norm over the whole width, or per head where the weight has a head's length."""
    if graph.shape(weight)[0] == heads * spec.head_dim:
        return add_norm(graph, spec, value, weight, name)
    split = graph.one(
        "Reshape", value, graph.constant(f"split_{heads}_heads", [0, 0, heads, spec.head_dim]), name=f"{name}/split"
    )
    normed = add_norm(graph, spec, split, weight, name)
    return graph.one("Reshape", normed, graph.constant("join_heads", [0, 0, -1]), name=f"{name}/join")
