"""The second half of a decoder layer: fused experts with their own k (and a shared expert), or a dense SwiGLU."""

import onnx_ir as ir

from exporter.graphs.build.graph_builder import MICROSOFT, GraphBuilder
from exporter.graphs.decoder_spec import DecoderSpec

# SwiGLU as the fused kernels compute it: gate · sigmoid(alpha · gate) · (up + beta), gate and up rows in turn.
SWIGLU = {"activation_type": "swiglu", "swiglu_fusion": 1, "activation_alpha": 1.0, "activation_beta": 0.0}


def add_experts(
    graph: GraphBuilder, spec: DecoderSpec, normed: ir.Value, *, prefix: str, layer: int, k: int
) -> ir.Value:
    """One fused node for all experts of the layer: [batch, sequence, hidden] to the same shape, `k` experts per
    token."""
    rows = hide_shape(graph, spec, normed, layer)
    flat = flatten(graph, spec, normed, layer) if rows is normed else rows
    scores = graph.linear(flat, prefix + "router", name=f"layers.{layer}/router")
    mixed = _fused_node(graph, spec, rows, scores, prefix, f"layers.{layer}/experts", k)
    if rows is not normed:
        shape = graph.one("Shape", normed, name=f"layers.{layer}/experts/shape")
        mixed = graph.one("Reshape", mixed, shape, name=f"layers.{layer}/experts/back")
    if prefix + "shared_expert_gate.weight" not in graph:
        return mixed
    shared = add_dense(graph, normed, prefix=prefix + "shared_expert.", name=f"layers.{layer}/shared_expert")
    gate = graph.linear(normed, prefix + "shared_expert_gate", name=f"layers.{layer}/shared_expert_gate")
    weight = graph.one("Sigmoid", gate, name=f"layers.{layer}/shared_expert_weight")
    weighted = graph.one("Mul", shared, weight, name=f"layers.{layer}/shared_expert_weighted")
    return graph.one("Add", mixed, weighted, name=f"layers.{layer}/experts_sum")


def hide_shape(graph: GraphBuilder, spec: DecoderSpec, normed: ir.Value, layer: int) -> ir.Value:
    """The experts' input with its first dimension unnamed.

    This hides from the memory planner that the fused node's input and output have one shape. The CPU kernel clears its
    output before it reads its input, so that a shared buffer would silently lose the whole layer; every exported graph
    carries golden outputs that show it.
    """
    return flatten(graph, spec, normed, layer)


def flatten(graph: GraphBuilder, spec: DecoderSpec, normed: ir.Value, layer: int) -> ir.Value:
    """[batch, sequence, hidden] as [batch · sequence, hidden]."""
    return graph.one(
        "Reshape", normed, graph.constant("rows_by_hidden", [-1, spec.hidden]), name=f"layers.{layer}/experts/rows"
    )


def _fused_node(
    graph: GraphBuilder, spec: DecoderSpec, rows: ir.Value, scores: ir.Value, prefix: str, name: str, k: int
) -> ir.Value:
    attributes = {"k": k, "normalize_routing_weights": int(spec.renormalised), **SWIGLU}
    fc1, fc2 = f"{prefix}experts.fc1", f"{prefix}experts.fc2"
    if f"{fc1}.packed" not in graph:
        slices = graph.shape(fc1)[0] // graph.shape(prefix + "router.weight")[1]
        if slices > 1:
            # Every slice of an expert has the expert's score, so that the softmax over all slices gives each its share
            # of the expert's weight. Only where two experts tie to the last bit for the last place may the node take
            # slices of both.
            attributes["k"] = slices * k
            scores = graph.one("Concat", *[scores] * slices, name=f"{name}/slices", axis=-1)
        mixed = graph.one(
            "MoE", rows, scores, graph.weight(fc1), None, graph.weight(fc2), name=name, domain=MICROSOFT, **attributes
        )
        return mixed if slices == 1 else graph.one("Mul", mixed, graph.number("slices", slices), name=f"{name}/whole")
    how = graph.quantisation(fc1)
    weights = (
        graph.weight(f"{fc1}.packed"),
        graph.weight(f"{fc1}.scales"),
        None,
        graph.weight(f"{fc2}.packed"),
        graph.weight(f"{fc2}.scales"),
    )
    attributes |= {"expert_weight_bits": how.bits, "block_size": how.block, "quant_type": "int"}
    # The CPU kernel always divides the chosen experts' weights by their sum, unless it is given the weights of all
    # experts.
    shares = graph.one("Softmax", scores, name=f"{name}/shares", axis=-1)
    return graph.one("QMoE", rows, scores, *weights, *[None] * 7, shares, name=name, domain=MICROSOFT, **attributes)


def add_dense(graph: GraphBuilder, normed: ir.Value, *, prefix: str, name: str) -> ir.Value:
    """A SwiGLU MLP over the last dimension."""
    both = graph.linear(normed, prefix + "gate_up", name=f"{name}/gate_up")
    gate, up = graph.node("Split", [both], name=f"{name}/split", outputs=2, axis=-1, num_outputs=2)
    sigmoid = graph.one("Sigmoid", gate, name=f"{name}/sigmoid")
    silu = graph.one("Mul", gate, sigmoid, name=f"{name}/silu")
    activated = graph.one("Mul", silu, up, name=f"{name}/activated")
    return graph.linear(activated, prefix + "down", name=f"{name}/down")
