"""The second half of a decoder layer: fused experts with their own k (and a shared expert), or a dense SwiGLU."""

import onnx_ir as ir

from exporter.graphs.build.graph_builder import ACTIVATIONS_IN_8_BITS, MICROSOFT, GraphBuilder
from exporter.graphs.decoder_spec import BlockSpec, DecoderSpec

# SwiGLU as the fused kernels compute it: gate · sigmoid(alpha · gate) · (up + beta), gate and up rows in turn.
SWIGLU = {"activation_type": "swiglu", "swiglu_fusion": 1, "activation_alpha": 1.0, "activation_beta": 0.0}


def add_feed_forward(
    graph: GraphBuilder, spec: DecoderSpec, block: BlockSpec, normed: ir.Value, *, layer: int, k: int
) -> ir.Value:
    """What the source block computes: its experts, `k` per token, or its dense MLP."""
    prefix = f"blocks.{block.block}."
    if block.sparse:
        return add_experts(graph, spec, normed, prefix=prefix, layer=layer, k=k)
    return add_dense(graph, normed, prefix=prefix + "dense.", name=f"layers.{layer}/mlp")


def add_experts(
    graph: GraphBuilder, spec: DecoderSpec, normed: ir.Value, *, prefix: str, layer: int, k: int
) -> ir.Value:
    """All experts of the layer, and the shared one where there is one: [batch, sequence, hidden] to the same shape, `k`
    experts per token."""
    mixed = _add_routed(graph, spec, normed, prefix=prefix, layer=layer, k=k)
    if prefix + "shared_expert_gate.weight" not in graph:
        return mixed
    shared = add_dense(graph, normed, prefix=prefix + "shared_expert.", name=f"layers.{layer}/shared_expert")
    gate = graph.linear(normed, prefix + "shared_expert_gate", name=f"layers.{layer}/shared_expert_gate")
    weight = graph.one("Sigmoid", gate, name=f"layers.{layer}/shared_expert_weight")
    weighted = graph.one("Mul", shared, weight, name=f"layers.{layer}/shared_expert_weighted")
    return graph.one("Add", mixed, weighted, name=f"layers.{layer}/experts_sum")


def _add_routed(
    graph: GraphBuilder, spec: DecoderSpec, normed: ir.Value, *, prefix: str, layer: int, k: int
) -> ir.Value:
    """One fused node between two Reshapes, to [batch · sequence, hidden] and back.

    The first hides from the memory planner that the node's input and output have one shape: their first dimension has
    no name. The CPU kernel clears its output before it reads its input, so that a shared buffer would silently lose the
    whole layer; every exported graph carries golden outputs that show it.
    """
    name, flat = f"layers.{layer}/experts", graph.constant("rows_by_hidden", [-1, spec.hidden])
    rows = graph.one("Reshape", normed, flat, name=f"{name}/rows")
    scores = graph.linear(rows, prefix + "router", name=f"layers.{layer}/router")
    add = _add_quantised if f"{prefix}experts.fc1.packed" in graph else _add_plain
    mixed = add(graph, spec, rows, scores, prefix=prefix, name=name, k=k)
    shape = graph.one("Shape", normed, name=f"{name}/shape")
    return graph.one("Reshape", mixed, shape, name=f"{name}/back")


def _add_plain(
    graph: GraphBuilder, spec: DecoderSpec, rows: ir.Value, scores: ir.Value, *, prefix: str, name: str, k: int
) -> ir.Value:
    """Experts as they are, or cut into tiles that sum up to them (exporter.graphs.weights.decoder_weights).

    Every tile of an expert has the expert's score, so that the softmax over all tiles gives each its share of the
    expert's weight. Only where two experts tie to the last bit for the last place may the node take tiles of both.
    """
    fc1, fc2 = (graph.weight(f"{prefix}experts.{each}") for each in ("fc1", "fc2"))
    tiles = graph.shape(f"{prefix}experts.fc1")[0] // graph.shape(f"{prefix}router.weight")[1]
    if tiles > 1:
        scores = graph.one("Concat", *[scores] * tiles, name=f"{name}/slices", axis=-1)
    attributes = _attributes(spec, k=tiles * k)
    mixed = graph.one("MoE", rows, scores, fc1, None, fc2, name=name, domain=MICROSOFT, **attributes)
    return mixed if tiles == 1 else graph.one("Mul", mixed, graph.number("slices", tiles), name=f"{name}/whole")


def _add_quantised(
    graph: GraphBuilder, spec: DecoderSpec, rows: ir.Value, scores: ir.Value, *, prefix: str, name: str, k: int
) -> ir.Value:
    """Quantised experts. The CPU kernel always divides the chosen experts' weights by their sum, unless it is given the
    weights of all experts."""
    how = graph.quantisation(f"{prefix}experts.fc1")
    fc1, fc2 = (
        [graph.weight(f"{prefix}experts.{each}.{part}") for part in ("packed", "scales")] for each in ("fc1", "fc2")
    )
    shares = graph.one("Softmax", scores, name=f"{name}/shares", axis=-1)
    inputs = [rows, scores, *fc1, None, *fc2, *[None] * 7, shares]
    quantised: dict[str, object] = {"expert_weight_bits": how.bits, "block_size": how.group_size, "quant_type": "int"}
    if how.bits == 4:  # of 8 bits the kernel rounds activations anyway
        quantised["accuracy_level"] = ACTIVATIONS_IN_8_BITS
    return graph.one("QMoE", *inputs, name=name, domain=MICROSOFT, **_attributes(spec, k=k), **quantised)


def _attributes(spec: DecoderSpec, *, k: int) -> dict[str, object]:
    return {"k": k, "normalize_routing_weights": int(spec.renormalised), **SWIGLU}


def add_dense(graph: GraphBuilder, normed: ir.Value, *, prefix: str, name: str) -> ir.Value:
    """A SwiGLU MLP over the last dimension."""
    both = graph.linear(normed, prefix + "gate_up", name=f"{name}/gate_up")
    gate, up = graph.node("Split", [both], name=f"{name}/split", outputs=2, axis=-1, num_outputs=2)
    sigmoid = graph.one("Sigmoid", gate, name=f"{name}/sigmoid")
    silu = graph.one("Mul", gate, sigmoid, name=f"{name}/silu")
    activated = graph.one("Mul", silu, up, name=f"{name}/activated")
    return graph.linear(activated, prefix + "down", name=f"{name}/down")
