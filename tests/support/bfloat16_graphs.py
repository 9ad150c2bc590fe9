"""Graphs with inputs and outputs of bfloat16 that a processor without its kernels can run."""

import onnx

from exporter.graphs.check.upcast import upcast_to_float32

FLOAT, BFLOAT16 = onnx.TensorProto.FLOAT, onnx.TensorProto.BFLOAT16


def bfloat16_outside(model: bytes) -> bytes:
    """The graph computing in float32, with inputs, outputs and caches of bfloat16: what the CPU can run of it."""
    found = onnx.ModelProto.FromString(upcast_to_float32(model))
    graph, before, after = found.graph, [], []
    for value, casts in [(value, before) for value in graph.input] + [(value, after) for value in graph.output]:
        if value.type.tensor_type.elem_type != FLOAT:
            continue
        wide = f"{value.name}/wide"
        for node in graph.node:
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    if name == value.name:
                        names[index] = wide
        first, second, kind = (value.name, wide, FLOAT) if casts is before else (wide, value.name, BFLOAT16)
        casts.append(onnx.helper.make_node("Cast", [first], [second], to=kind))
        value.type.tensor_type.elem_type = BFLOAT16
    nodes = [*before, *graph.node, *after]
    del graph.node[:]
    graph.node.extend(nodes)
    serialised: bytes = found.SerializeToString()
    return serialised
