"""Compares a graph on disk with the one that was planned, node by node, as protobuf messages (see inspect)."""

from itertools import zip_longest
from pathlib import Path
from typing import Any

import onnx

from runtime.errors import VerificationError

PARTS = ("op_type", "domain", "input", "output")


def check_same_graph(path: Path, found: Any, planned: Any) -> None:
    """Compare the model `found` at `path` with `planned`: operator sets, nodes in order, inputs, outputs, constants and
    where weights stand.

    Metadata, notes and inferred shapes are not compared. Raises VerificationError naming the file, the node (whose name
    begins with its layer), value or tensor, what is there and what was planned.
    """
    if found.functions or found.graph.sparse_initializer:
        names = ", ".join(function.name for function in found.functions) or "sparse tensors"
        raise VerificationError(f"{path}: has functions or sparse tensors of its own ({names}); none are planned")
    opsets = [{entry.domain: entry.version for entry in model.opset_import} for model in (found, planned)]
    if opsets[0] != opsets[1]:
        raise VerificationError(f"{path}: operator sets are {opsets[0]}, planned are {opsets[1]}")
    for node, wanted in zip_longest(found.graph.node, planned.graph.node):
        _check_node(path, node, wanted)
    for kind in ("input", "output"):
        values: list[dict[str, object]] = [
            {value.name: _bytes(value.type) for value in getattr(model.graph, kind)} for model in (found, planned)
        ]
        _check_named(f"{path}: {kind}", *values)
    tensors: list[dict[str, object]] = [
        {tensor.name: _tensor(tensor) for tensor in model.graph.initializer} for model in (found, planned)
    ]
    _check_named(f"{path}: tensor", *tensors)


def _check_node(path: Path, node: Any, wanted: Any) -> None:
    if node is None or wanted is None or node.name != wanted.name:
        raise VerificationError(f"{path}: there is {_title(node)} where {_title(wanted)} is planned")
    for part in PARTS:
        is_there, planned = (
            list(value) if part in ("input", "output") else value
            for value in (getattr(node, part), getattr(wanted, part))
        )
        if is_there != planned:
            raise VerificationError(f"{path}: {node.name}: {part} is {is_there!r}, planned is {planned!r}")
    attributes, others = ({attribute.name: attribute for attribute in each.attribute} for each in (node, wanted))
    if len(node.attribute) != len(attributes):
        raise VerificationError(f"{path}: {node.name}: an attribute stands there twice")
    for name in sorted(attributes.keys() | others.keys()):
        if name not in attributes or name not in others or _bytes(attributes[name]) != _bytes(others[name]):
            says, planned = (_value(each.get(name)) for each in (attributes, others))
            raise VerificationError(f"{path}: {node.name}: attribute {name} is {says}, planned is {planned}")


def _check_named(place: str, found: dict[str, object], planned: dict[str, object]) -> None:
    for name in dict.fromkeys((*planned, *found)):
        if name not in found or name not in planned:
            raise VerificationError(f"{place} {name} is {'missing' if name not in found else 'there, and not planned'}")
        if found[name] != planned[name]:
            raise VerificationError(f"{place} {name} is {_short(found[name])}, planned is {_short(planned[name])}")


def _tensor(tensor: Any) -> object:
    """What a tensor is and where its bytes are; those of a small one itself."""
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return _bytes(tensor)
    where = {entry.key: entry.value for entry in tensor.external_data}
    return onnx.TensorProto.DataType.Name(tensor.data_type), list(tensor.dims), dict(sorted(where.items()))


def _short(value: object) -> str:
    return "another value" if isinstance(value, bytes) else str(value)


def _title(node: Any) -> str:
    return (
        "no further node"
        if node is None
        else f"node {node.name or 'without a name'} ({node.domain or 'ai.onnx'}.{node.op_type})"
    )


def _value(attribute: Any) -> str:
    return "missing" if attribute is None else repr(onnx.helper.get_attribute_value(attribute))[:100]


def _bytes(message: Any) -> bytes:
    data: bytes = message.SerializeToString(deterministic=True)
    return data
