"""Widens a half-precision graph to float32, in memory: processors without its kernels can then run the same nodes on
the same file."""

from collections.abc import Iterator
from typing import Any

import onnx
from onnx import numpy_helper

FLOAT = onnx.TensorProto.FLOAT
HALF = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)


def float32_twin(model: bytes) -> bytes:
    """The serialised `model` with every float16 and bfloat16 value as float32; without any, the same graph.

    Nodes, their order, names and attributes are the same, `to` of a Cast apart. Weights in external files stay there in
    their own type, each followed by a Cast in front of its first use; to keep them from being widened all at once, a
    session must not fold constants.
    """
    twin = onnx.ModelProto()
    twin.ParseFromString(model)
    graph = twin.graph
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type in HALF:
            value.type.tensor_type.elem_type = FLOAT
    weights = set()
    for tensor in graph.initializer:
        if tensor.data_type in HALF and tensor.data_location == onnx.TensorProto.EXTERNAL:
            weights.add(tensor.name)
        else:
            _widen(tensor)
    nodes = list(_widened_nodes(graph.node, weights))
    del graph.node[:]
    graph.node.extend(nodes)
    serialised: bytes = twin.SerializeToString()
    return serialised


def _widened_nodes(nodes: Any, weights: set[str]) -> Iterator[Any]:
    """The nodes, reading the widened `weights`; the Cast of each stands before its first reader."""
    done = set()
    for node in nodes:
        for index, name in enumerate(node.input):
            if name in weights:
                if name not in done:
                    yield onnx.helper.make_node("Cast", [name], [_widened(name)], name=f"{name}/widen", to=FLOAT)
                    done.add(name)
                node.input[index] = _widened(name)
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i in HALF:
                attribute.i = FLOAT
            _widen(attribute.t)
        yield node


def _widened(name: str) -> str:
    return f"{name}/float32"


def _widen(tensor: Any) -> None:
    """Turn a half-precision constant that stands in the graph itself into float32."""
    if tensor.data_type in HALF:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype("float32"), tensor.name))
