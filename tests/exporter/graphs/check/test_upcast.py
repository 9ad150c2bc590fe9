"""A half-precision graph upcast to float32: the same nodes on the same file."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from exporter.graphs.check.upcast import upcast_to_float32
from runtime.engines.onnx.decoder import OnnxDecoder
from runtime.engines.onnx.session import open_session
from tests.support.graph_families import GraphFamilies

HALF = (TensorProto.FLOAT16, TensorProto.BFLOAT16)


def exported_graph(families: GraphFamilies, precision: str) -> Path:
    exported = families.exported("qwen3_moe", precision=precision)
    return exported.path(exported.plan.variants[0].id)


def upcast(model: Any) -> Any:
    """The onnx.ModelProto of a model, upcast."""
    return onnx.ModelProto.FromString(upcast_to_float32(model.SerializeToString()))


def is_widening(node: Any) -> bool:
    return node.name.endswith("/widen")


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_upcasting_keeps_the_same_nodes_on_the_same_weights_and_leaves_no_other_half_precision_value(
    precision: str, graph_families: GraphFamilies
) -> None:
    path = exported_graph(graph_families, precision)
    model, wide = (
        onnx.load(str(path), load_external_data=False),
        upcast(onnx.load(str(path), load_external_data=False)),
    )
    halves = {tensor.name for tensor in model.graph.initializer if tensor.data_type in HALF}
    kept = [node for node in wide.graph.node if not is_widening(node)]
    assert not any(name in halves for node in kept for name in node.input)
    for ours, node in zip(kept, model.graph.node, strict=True):
        assert [name.removesuffix("/float32") for name in ours.input] == list(node.input)
        ours.input[:] = node.input
        assert ours == node
    assert list(wide.graph.initializer) == list(model.graph.initializer)
    assert {node.input[0] for node in wide.graph.node if is_widening(node)} == halves
    assert not any(value.type.tensor_type.elem_type in HALF for value in (*wide.graph.input, *wide.graph.output))


def test_upcasting_leaves_a_float32_graph_as_it_is(graph_families: GraphFamilies) -> None:
    path = exported_graph(graph_families, "float32")
    assert upcast(onnx.load(str(path), load_external_data=False)) == onnx.load(str(path), load_external_data=False)


def test_casts_and_constants_in_the_graph_itself_are_widened() -> None:
    """1 + 2⁻¹² is no float16: where the graph rounds, the upcast one does not."""
    half = TensorProto.FLOAT16
    nodes = [
        helper.make_node("Cast", ["x"], ["rounded"], to=half),
        helper.make_node("Constant", [], ["two"], value=numpy_helper.from_array(np.asarray(2, np.float16))),
        helper.make_node("Mul", ["rounded", "two"], ["twice"]),
        helper.make_node("Mul", ["twice", "half"], ["y"]),
    ]
    inputs, outputs = (
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", half, [1])],
    )
    constants = [numpy_helper.from_array(np.asarray([0.5], np.float16), "half")]
    infos = [helper.make_tensor_value_info("twice", half, [1])]
    graph = helper.make_graph(nodes, "small", inputs, outputs, constants, value_info=infos)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    found = {}
    for name, serialised in {"model": model, "upcast": upcast(model)}.items():
        session = onnxruntime.InferenceSession(serialised.SerializeToString(), providers=["CPUExecutionProvider"])
        found[name] = session.run(None, {"x": np.asarray([1 + 2**-12], np.float32)})[0]
    assert found["model"].dtype == np.float16
    assert found["upcast"].dtype == np.float32
    assert found["model"][0] == 1
    assert found["upcast"][0] == 1 + 2**-12


def test_a_session_that_folds_no_constants_gives_the_same_logits(graph_families: GraphFamilies) -> None:
    path = exported_graph(graph_families, "bfloat16")
    model, row = upcast(onnx.load(str(path), load_external_data=False)).SerializeToString(), np.arange(2, 11)[None]
    logits = []
    for fold in (True, False):
        session = open_session(model, data_folder=path.parent, threads=1, spinning=False, fold_constants=fold)
        logits.append(OnnxDecoder(session).start(batch=1, capacity=9).run(row)["logits"])
    np.testing.assert_array_equal(logits[0], logits[1])
