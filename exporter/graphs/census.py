"""Counts a decoder graph's nodes and compares them, with the k of each, with the plan; checks where its weights stand."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx

from exporter.graphs.stored_tensor import ALIGNMENT
from runtime.errors import VerificationError

EXPERTS = ("MoE", "QMoE")
FUSED = {"GroupQueryAttention": 1, "SkipSimplifiedLayerNormalization": 2}  # of each per layer
LOOPS = ("Loop", "Scan", "If", "TopK", "NonZero")  # what a mixture of experts is made of when it is not fused
ELEMENT_BYTES = {onnx.TensorProto.FLOAT: 4, onnx.TensorProto.FLOAT16: 2, onnx.TensorProto.BFLOAT16: 2, onnx.TensorProto.UINT8: 1}


def check_decoder(path: Path, *, top_k: Sequence[int | None]) -> str:
    """Check the decoder graph at `path`: `top_k[i]` is the planned k of layer i, None where it has no experts. Returns a sentence.

    Raises VerificationError naming the file and the layer: an ONNX model that the checker refuses, an expert node missing, spare, unfused or
    with another k, attention or residual norms that are not fused.
    """
    model = check_model(path)
    nodes = model.graph.node
    kinds = Counter(node.op_type for node in nodes)
    for kind, count in FUSED.items():
        if kinds[kind] != count * len(top_k):
            raise VerificationError(f"{path}: {kinds[kind]} nodes {kind}, planned are {count * len(top_k)} for {len(top_k)} layers")
    loops = sorted(kind for kind in LOOPS if kinds[kind])
    if loops:
        raise VerificationError(f"{path}: has nodes {', '.join(loops)}; experts must be one fused node a layer")
    found = {node.name.split("/")[0]: _k(node) for node in nodes if node.op_type in EXPERTS}
    planned = {f"layers.{layer}": k for layer, k in enumerate(top_k) if k is not None}
    if sum(kinds[kind] for kind in EXPERTS) != len(found) or found.keys() != planned.keys():
        raise VerificationError(f"{path}: expert nodes at {', '.join(sorted(found))}; planned are {', '.join(sorted(planned))}")
    for layer, k in planned.items():
        if found[layer] != k:
            raise VerificationError(f"{path}: {layer}: {found[layer]} experts per token, planned are {k}")
    experts = f"{len(planned)} expert nodes with the planned k, " if planned else ""
    return f"{len(nodes)} nodes: {experts}{len(top_k)} attention and {2 * len(top_k)} norm nodes fused"


def _k(node: Any) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "k"), 0)


def check_model(path: Path) -> Any:
    """The model at `path`, without its weights, once ONNX's checker has accepted it with its shapes and its weights are where it says.

    Raises VerificationError naming the file: refused by the checker; external data in another file than a plain one beside the graph, beyond
    its end, not aligned for mapping, or of another size than the tensor's.
    """
    model = onnx.load(str(path), load_external_data=False)
    try:
        onnx.checker.check_model(_without_data(model), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise VerificationError(f"{path}: refused by ONNX's checker: {' '.join(str(error).split())}") from error
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _check_range(path, tensor)
    return model


def _without_data(model: Any) -> Any:
    """A copy whose external tensors are inputs of the same type and shape: the checker opens no data that has several names."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    external = [tensor for tensor in copy.graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]
    for tensor in external:
        copy.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
        copy.graph.initializer.remove(tensor)
    return copy


def _check_range(path: Path, tensor: Any) -> None:
    where = {entry.key: entry.value for entry in tensor.external_data}
    name, offset, length = where["location"], int(where["offset"]), int(where["length"])
    file = path.parent / name
    if "/" in name or "\\" in name or name in (".", "..") or file.is_symlink() or not file.is_file():
        raise VerificationError(f"{path}: tensor {tensor.name}: its data is in {name!r}, which is no plain file beside the graph")
    size, wanted = file.stat().st_size, ELEMENT_BYTES[tensor.data_type]
    for dimension in tensor.dims:
        wanted *= dimension
    if length != wanted:
        raise VerificationError(f"{path}: tensor {tensor.name}: {length} bytes of data, its shape {list(tensor.dims)} needs {wanted}")
    if offset % ALIGNMENT:
        raise VerificationError(f"{path}: tensor {tensor.name}: its data begins at byte {offset}, no multiple of {ALIGNMENT}")
    if not 0 <= offset <= offset + length <= size:
        raise VerificationError(f"{path}: tensor {tensor.name}: its data is bytes {offset}–{offset + length}, {name} has {size}")
