"""The structure of a decoder graph is pinned: every change of what it computes is refused and named."""

import copy
import re
import shutil
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir
import pytest
from onnx import helper

from exporter.graphs.check.inspect import check_model
from exporter.graphs.check.same_graph import check_same_graph
from exporter.graphs.graph_set import build_graphs, plan_tensors
from exporter.graphs.weights.precision import PRECISIONS, find_precision
from runtime.errors import VerificationError
from tests.support.graph_edits import Edit, attribute, edit_graph, initializer, named, place, reads
from tests.support.graph_families import CASES, Exported, GraphFamilies, quantisable

VARIANT = "b3-k2"


def in_another_domain(model: Any) -> None:
    named(model, "layers.1/experts").domain = "ai.foo"
    model.opset_import.append(helper.make_opsetid("ai.foo", 1))


def unrolled_experts(model: Any) -> None:
    for index in range(8):
        product = helper.make_node(
            "MatMul",
            ["layers.1/experts/rows:0", "blocks.1.router.weight"],
            [f"more{index}"],
            name=f"layers.1/more{index}",
        )
        model.graph.node.append(product)


def a_function(model: Any) -> None:
    body = [helper.make_node("TopK", ["a", "a"], ["b", "c"])]
    model.functions.append(helper.make_function("f", "Routing", ["a"], ["b"], body, [helper.make_opsetid("", 23)]))


def a_branch(model: Any) -> None:
    same = helper.make_graph(
        [helper.make_node("Identity", ["logits"], ["same"])], "same", [], [helper.make_empty_tensor_value_info("same")]
    )
    condition = helper.make_tensor("condition", onnx.TensorProto.BOOL, [], [True])
    model.graph.initializer.append(condition)
    model.graph.node.append(
        helper.make_node("If", ["condition"], ["branch"], name="layers.1/branch", then_branch=same, else_branch=same)
    )


def another_width(model: Any) -> None:
    shape = initializer(model, "rows_by_hidden")
    shape.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(shape)[[0, 0]], "rows_by_hidden"))


def changed(name: str, key: str, value: object, *, planned: str = "") -> tuple[Edit, str]:
    """An edit of a node's attribute, and the pattern of what is said of it."""
    shown = repr(value.encode() if isinstance(value, str) else value)
    return attribute(name, key, value), re.escape(f"{name}: attribute {key} is {shown}, planned is ") + planned


EDITS: dict[str, tuple[Edit, str]] = {
    "other routing weights": changed("layers.1/experts", "normalize_routing_weights", 1, planned=r"0"),
    "another beta": changed("layers.1/experts", "activation_beta", 1.0, planned=r"0\.0"),
    "another activation": changed("layers.1/experts", "activation_type", "relu"),
    "another scale": changed("layers.1/attention", "scale", 9.0, planned=r"0\.25"),
    "no rotary": changed("layers.1/attention", "do_rotary", 0, planned=r"1"),
    "a window": changed("layers.2/attention", "local_window_size", 2, planned=r"-1"),
    "no guard": (
        reads("layers.1/experts", 0, "layers.1/feed_forward_norm:0"),
        r"layers\.1/experts: input is .*, planned is .*rows",
    ),
    "another guard": (another_width, r"tensor rows_by_hidden is another value"),
    "dead experts": (
        reads("layers.1/experts/back", 0, "layers.1/experts/rows:0"),
        r"layers\.1/experts/back: input is .*planned is",
    ),
    "another block's experts": (
        reads("layers.1/experts", 2, "blocks.0.experts.fc1"),
        r"layers\.1/experts: input is .*'blocks\.0\.experts\.fc1'",
    ),
    "another domain": (in_another_domain, r"operator sets are .*ai\.foo.*, planned are"),
    "unrolled experts": (
        unrolled_experts,
        r"there is node layers\.1/more0 \(ai\.onnx\.MatMul\) where no further node is planned",
    ),
    "another name": (
        lambda model: setattr(named(model, "layers.0/experts"), "name", "layers.1x/experts"),
        r"there is node layers\.1x/experts .* where",
    ),
    "a function": (a_function, r"has functions or sparse tensors of its own \(f\)|\(Routing\)"),
    "a branch": (a_branch, r"there is node layers\.1/branch \(ai\.onnx\.If\) where no further node is planned"),
    "a lost node": (
        lambda model: model.graph.node.remove(named(model, "head")),
        r"there is no further node where node head \(ai\.onnx\.MatMul\) is planned",
    ),
    "another block's bytes": (
        place("blocks.1.attention_norm", "offset", "0"),
        r"tensor blocks\.1\.attention_norm is .*'offset': '0'",
    ),
    "another output": (lambda model: setattr(model.graph.output[0], "name", "scores"), r"output logits is missing"),
}


@pytest.fixture
def olmoe(graph_families: GraphFamilies) -> Exported:
    return graph_families.exported("olmoe")


def planned_graphs(exported: Exported) -> dict[Path, Any]:
    """What `build_graphs` says of an exported family, by the path on disk."""
    precision = find_precision(exported.precision)
    tensors = plan_tensors(exported.source, exported.plan, precision)
    graphs = build_graphs(exported.source, exported.plan, precision, tensors, digest=None)
    return {exported.folder / path: ir.to_proto(model) for path, model in graphs}


@pytest.mark.parametrize("what", EDITS)
def test_a_graph_that_computes_something_else_is_not_the_planned_one(what: str, olmoe: Exported) -> None:
    edit, message = EDITS[what]
    path = olmoe.path(VARIANT)
    planned, found = planned_graphs(olmoe)[path], onnx.load(str(path), load_external_data=False)
    check_same_graph(path, found, planned)
    edit(found)
    with pytest.raises(VerificationError, match=rf"b3-k2\.onnx: .*(?:{message})"):
        check_same_graph(path, found, planned)


def test_an_attribute_that_is_missing_spare_or_there_twice_is_named(olmoe: Exported) -> None:
    path = olmoe.path(VARIANT)
    planned = planned_graphs(olmoe)[path]
    node = named(planned, "layers.0/experts")
    for change, message in (
        (lambda each: each.attribute.pop(), "attribute .* is missing, planned is"),
        (
            lambda each: each.attribute.append(helper.make_attribute("more", 1)),
            "attribute more is 1, planned is missing",
        ),
        (lambda each: each.attribute.append(each.attribute[0]), "an attribute stands there twice"),
    ):
        found = copy.deepcopy(planned)
        change(named(found, node.name))
        with pytest.raises(VerificationError, match=message):
            check_same_graph(path, found, planned)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (place("final_norm", "offset", "0"), "its data at byte 0 is also that of tensor"),
        (place("final_norm", "offset", "-1"), "external_data: offset is '-1', no number of bytes"),
        (place("final_norm", "length", "much"), "external_data: length is 'much', no number of bytes"),
    ],
)
def test_weights_that_share_bytes_or_stand_nowhere_are_refused(
    edit: Edit, message: str, olmoe: Exported, tmp_path: Path
) -> None:
    path = copied(olmoe, tmp_path)
    edit_graph(path, edit)
    with pytest.raises(VerificationError, match=rf"b3-k2\.onnx: tensor \S+: {message}"):
        check_model(path)


@pytest.mark.parametrize("key", ["location", "offset", "length"])
def test_weights_without_a_place_are_refused(key: str, olmoe: Exported, tmp_path: Path) -> None:
    path = copied(olmoe, tmp_path)

    def edit(model: Any) -> None:
        tensor = initializer(model, "final_norm")
        tensor.external_data.remove(next(entry for entry in tensor.external_data if entry.key == key))

    edit_graph(path, edit)
    with pytest.raises(VerificationError, match=rf"b3-k2\.onnx: tensor final_norm: external_data has no {key}"):
        check_model(path)


def copied(exported: Exported, folder: Path) -> Path:
    """The graph in a folder of its own, with its data."""
    shutil.copytree(exported.path(VARIANT).parent, folder / "copy")
    return folder / "copy" / f"{VARIANT}.onnx"


@pytest.mark.parametrize("content", [b"\x00\x01garbage", b"", None])
def test_a_file_that_is_no_graph_is_refused(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "broken.onnx").write_bytes(content)
    with pytest.raises(
        VerificationError, match=r"broken\.onnx: (cannot be read as an ONNX model|refused by ONNX's checker)"
    ):
        check_model(tmp_path / "broken.onnx")


@pytest.mark.parametrize("precision", [precision.name for precision in PRECISIONS])
@pytest.mark.parametrize("case", [*CASES, "molmoe"])
def test_every_graph_on_disk_is_the_planned_one(case: str, precision: str, graph_families: GraphFamilies) -> None:
    exported = graph_families.exported(case, precision=precision, **quantisable(case))
    for path, planned in planned_graphs(exported).items():
        check_same_graph(path, check_model(path), planned)
