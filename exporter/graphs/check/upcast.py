"""Upcasts a half-precision graph to float32, in memory: processors without its kernels can then run the same nodes on
the same file."""

from collections.abc import Iterable

import numpy as np
import onnx
import onnx_ir as ir

FLOAT = ir.DataType.FLOAT
HALF = (ir.DataType.FLOAT16, ir.DataType.BFLOAT16)


def upcast_to_float32(model: bytes) -> bytes:
    """The serialised `model` with every float16 and bfloat16 value as float32; without any, the same graph.

    Nodes, their order, names and attributes stay the same, `to` of a Cast apart. Weights in external files stay there
    in their own type, each followed by a Cast in front of its first use; to keep them from being upcast all at once, a
    session must not fold constants.
    """
    found = ir.from_proto(onnx.ModelProto.FromString(model))
    graph = found.graph
    weights = [value for value in graph.initializers.values() if isinstance(value.const_value, ir.ExternalTensor)]
    halves = [value for value in weights if value.dtype in HALF]
    for node in graph:
        _upcast_attributes(node)
    for value in graph.initializers.values():
        if value not in halves and value.const_value is not None:
            value.const_value = _upcast(value.const_value)
    _upcast_types((*graph.inputs, *graph.outputs, *graph.initializers.values()), besides=halves)
    _upcast_types((value for node in graph for value in node.outputs), besides=())
    for weight in halves:
        _cast_in_front(graph, weight)
    serialised: bytes = ir.to_proto(found).SerializeToString()
    return serialised


def _cast_in_front(graph: ir.Graph, weight: ir.Value) -> None:
    """Let the readers of an external weight read what a Cast makes of it."""
    readers = weight.uses()
    if not readers:
        return
    name = f"{weight.name}/widen"
    cast = ir.node("Cast", [weight], {"to": int(FLOAT)}, name=name)
    cast.outputs[0].name = f"{weight.name}/float32"
    nodes = {use.node for use in readers}
    first = next(node for node in graph if node in nodes)
    graph.insert_before(first, cast)
    for use in readers:
        use.node.replace_input_with(use.idx, cast.outputs[0])


def _upcast_types(values: Iterable[ir.Value], *, besides: Iterable[ir.Value]) -> None:
    kept = list(besides)
    for value in values:
        if value.dtype in HALF and value not in kept:
            value.dtype = FLOAT


def _upcast_attributes(node: ir.Node) -> None:
    for attribute in list(node.attributes.values()):
        if node.op_type == "Cast" and attribute.name == "to" and attribute.as_int() in HALF:
            node.attributes["to"] = ir.AttrInt64("to", int(FLOAT))
        elif attribute.type == ir.AttributeType.TENSOR:
            node.attributes[attribute.name] = ir.AttrTensor(attribute.name, _upcast(attribute.as_tensor()))


def _upcast(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    """A constant that stands in the graph itself, in float32 where it is half precision."""
    return ir.tensor(tensor.numpy().astype(np.float32), name=tensor.name) if tensor.dtype in HALF else tensor
