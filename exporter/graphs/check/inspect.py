"""Inspects a graph on disk: a valid model, its weights where it says, and fused nodes with the planned k of each.

It reads the protobuf message itself, since what onnx_ir makes of one no longer shows what was missing in it, was there
twice or was no number.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from exporter.graphs.build.graph_builder import MICROSOFT
from exporter.graphs.weights.stored_tensor import ALIGNMENT
from runtime.errors import VerificationError

EXPERTS = ("MoE", "QMoE")
FUSED = {"GroupQueryAttention": 1, "SkipSimplifiedLayerNormalization": 2}  # of each per layer
LOOPS = ("Loop", "Scan", "If", "TopK", "NonZero")  # what a mixture of experts is made of when it is not fused
ELEMENT_BYTES = {
    onnx.TensorProto.FLOAT: 4,
    onnx.TensorProto.FLOAT16: 2,
    onnx.TensorProto.BFLOAT16: 2,
    onnx.TensorProto.UINT8: 1,
}


def check_decoder(path: Path, model: Any, *, top_k: Sequence[int | None]) -> str:
    """Check the decoder `model` at `path` (from `check_model`): `top_k[i]` is the planned k of layer i, None where it
    has no experts. Returns a sentence.

    Raises VerificationError naming the file and the layer: an expert node missing, spare, unfused or with another k,
    attention or residual norms that are not fused. What else a graph must be is for `check_same_graph`.
    """
    nodes = model.graph.node
    kinds = Counter(node.op_type for node in nodes if node.domain == MICROSOFT)
    for kind, count in FUSED.items():
        if kinds[kind] != count * len(top_k):
            raise VerificationError(
                f"{path}: {kinds[kind]} nodes {kind}, planned are {count * len(top_k)} for {len(top_k)} layers"
            )
    loops = sorted({node.op_type for node in nodes} & set(LOOPS))
    if loops:
        raise VerificationError(f"{path}: has nodes {', '.join(loops)}; experts must be one fused node a layer")
    tiles = {node.output[0]: len(node.input) for node in nodes if node.op_type == "Concat"}
    experts = [node for node in nodes if node.op_type in EXPERTS and node.domain == MICROSOFT]
    found = {node.name.split("/")[0]: _k(node) / tiles.get(node.input[1], 1) for node in experts}
    planned = {f"layers.{layer}": k for layer, k in enumerate(top_k) if k is not None}
    if sum(kinds[kind] for kind in EXPERTS) != len(found) or found.keys() != planned.keys():
        raise VerificationError(
            f"{path}: expert nodes at {', '.join(sorted(found))}; planned are {', '.join(sorted(planned))}"
        )
    for layer, k in planned.items():
        if found[layer] != k:
            raise VerificationError(f"{path}: {layer}: {found[layer]:g} experts per token, planned are {k}")
    counted = f"{len(planned)} expert nodes with the planned k, " if planned else ""
    return f"{len(nodes)} nodes: {counted}{len(top_k)} attention and {2 * len(top_k)} norm nodes fused"


def _k(node: Any) -> int:
    """The node's k; it counts tiles of experts where the scores are those of tiles, repeated for each."""
    return next((attribute.i for attribute in node.attribute if attribute.name == "k"), 0)


def check_model(path: Path) -> Any:
    """The model at `path`, without its weights, once ONNX's checker has accepted it with its shapes and its weights are
    where it says.

    Raises VerificationError naming the file: it cannot be read; refused by the checker; external data in another file
    than a plain one beside the graph, beyond its end, not aligned for mapping, of another size than the tensor's, or
    that of another tensor in part.
    """
    model = read_model(path)
    try:
        onnx.checker.check_model(_without_data(model), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        raise VerificationError(f"{path}: refused by ONNX's checker: {' '.join(str(error).split())}") from error
    external = [tensor for tensor in model.graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]
    _check_overlaps(path, [(*_check_range(path, tensor), tensor) for tensor in external])
    return model


def read_model(path: Path) -> Any:
    """The model at `path` without its weights. Raises VerificationError naming the file when it cannot be read."""
    try:
        return onnx.load(str(path), load_external_data=False)
    except (OSError, DecodeError) as error:
        raise VerificationError(f"{path}: cannot be read as an ONNX model: {error}") from error


def metadata(model: Any) -> dict[str, str]:
    """What the model says of itself."""
    return {entry.key: entry.value for entry in model.metadata_props}


def _without_data(model: Any) -> Any:
    """A copy whose external tensors are inputs of the same type and shape: the checker opens no data that has several
    names."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    external = [tensor for tensor in copy.graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]
    for tensor in external:
        copy.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
        copy.graph.initializer.remove(tensor)
    return copy


def _check_range(path: Path, tensor: Any) -> tuple[str, int, int]:
    """The file, first byte and length of a tensor's data, when they can be mapped and fit its shape."""
    where = {entry.key: entry.value for entry in tensor.external_data}
    name, offset, length = _place(path, tensor, where)
    file = path.parent / name
    if tensor.data_type not in ELEMENT_BYTES:
        raise VerificationError(
            f"{path}: tensor {tensor.name}: its data has the ONNX type {tensor.data_type}; known are "
            f"{sorted(ELEMENT_BYTES)}"
        )
    if "/" in name or "\\" in name or name in (".", "..") or file.is_symlink() or not file.is_file():
        raise VerificationError(
            f"{path}: tensor {tensor.name}: its data is in {name!r}, which is no plain file beside the graph"
        )
    size, wanted = file.stat().st_size, ELEMENT_BYTES[tensor.data_type]
    for dimension in tensor.dims:
        wanted *= dimension
    if length != wanted:
        raise VerificationError(
            f"{path}: tensor {tensor.name}: {length} bytes of data, its shape {list(tensor.dims)} needs {wanted}"
        )
    if offset % ALIGNMENT:
        raise VerificationError(
            f"{path}: tensor {tensor.name}: its data begins at byte {offset}, no multiple of {ALIGNMENT}"
        )
    if not 0 <= offset <= offset + length <= size:
        raise VerificationError(
            f"{path}: tensor {tensor.name}: its data is bytes {offset}–{offset + length}, {name} has {size}"
        )
    return name, offset, length


def _place(path: Path, tensor: Any, where: dict[str, str]) -> tuple[str, int, int]:
    for key in ("location", "offset", "length"):
        if key not in where:
            raise VerificationError(f"{path}: tensor {tensor.name}: external_data has no {key}")
        if key != "location" and not (where[key].isascii() and where[key].isdigit()):
            raise VerificationError(
                f"{path}: tensor {tensor.name}: external_data: {key} is {where[key]!r}, no number of bytes"
            )
    return where["location"], int(where["offset"]), int(where["length"])


def _check_overlaps(path: Path, ranges: list[tuple[str, int, int, Any]]) -> None:
    """Tensors share no bytes, but that one may be another or its first rows: a tied head is."""
    for (file, offset, length, one), (other_file, other_offset, _, other) in pairwise(
        sorted(ranges, key=lambda entry: (*entry[:2], -entry[2]))
    ):
        rows = (
            offset == other_offset and one.data_type == other.data_type and list(one.dims[1:]) == list(other.dims[1:])
        )
        if file == other_file and other_offset < offset + length and not rows:
            raise VerificationError(
                f"{path}: tensor {other.name}: its data at byte {other_offset} is also that of tensor {one.name}"
            )
