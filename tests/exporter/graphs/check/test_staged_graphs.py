"""Verification of graphs: what passes, what planted faults are called, and the fused node's trap."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from exporter.graphs.check.choose_golden import graph_golden
from exporter.graphs.check.graph_run import Answer, Inside, Prompts
from exporter.graphs.check.inspect import check_decoder, check_model
from exporter.graphs.weights.precision import find_precision
from runtime.documents.family_layout import GRAPH_INPUTS, graph_data_path, graph_golden_path
from runtime.documents.golden_outputs import read_arrays, read_graph_golden, write_graph_golden
from runtime.documents.graph_contract import PACKED
from runtime.documents.tolerances import GRAPH_GOLDEN_ELSEWHERE
from runtime.engines.onnx.decoder import OnnxDecoder
from runtime.errors import VerificationError
from tests.support.graph_edits import attribute, edit_graph, place
from tests.support.graph_families import CopyGraphs, Exported, GraphFamilies, check_exported, run_self_test

VARIANT = "b3-k2"


def _overwrite(exported: Exported, tensor: str, values: np.ndarray) -> None:
    """Write `values` over the beginning of a tensor in the data file."""
    model = onnx.load(str(exported.path(VARIANT)), load_external_data=False)
    found = next(initializer for initializer in model.graph.initializer if initializer.name == tensor)
    with (exported.folder / graph_data_path(exported.precision)).open("r+b") as stream:
        stream.seek(next(int(entry.value) for entry in found.external_data if entry.key == "offset"))
        stream.write(values.tobytes())


def without_reshape(model: Any) -> None:
    """The experts read [batch, sequence, hidden] as it is: the memory planner then sees that their output has the shape
    of their input, and may give both one buffer."""
    nodes = {node.name: node for node in model.graph.node}
    for name, node in nodes.items():
        if node.op_type == "MoE":
            node.input[0] = nodes[f"{name}/rows"].input[0]
            node.output[0] = nodes[f"{name}/back"].output[0]
            model.graph.node.remove(nodes[f"{name}/back"])
            model.graph.node.remove(nodes[f"{name}/shape"])


@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "int4"])
def test_a_family_passes_with_logits_tokens_experts_and_self_test(precision: str, own_graphs: CopyGraphs) -> None:
    exported = own_graphs("olmoe", precision=precision)
    found = {record.name.removeprefix(f"onnx {precision} "): record.outcome for record in check_exported(exported)}
    served = ("served",) if precision in PACKED else ()
    assert found == dict.fromkeys(("structure", "logits", "greedy", "experts", *served, "self-test"), "passed")


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_golden_outputs_of_quantised_types_are_those_of_a_default_session(
    precision: str, graph_families: GraphFamilies
) -> None:
    exported = graph_families.checked("olmoe", precision=precision)
    golden = read_graph_golden(exported.folder / graph_golden_path(precision, VARIANT))
    prompts = read_arrays(exported.folder / graph_golden_path(precision, GRAPH_INPUTS))[0]
    rows, scale = np.arange(len(golden.positions))[:, None], np.abs(golden.logits).max()
    options = onnxruntime.SessionOptions()
    found = []
    for setting in ("0", "1"):
        options.add_session_config_entry("session.disable_prepacking", setting)
        decoder = OnnxDecoder(onnxruntime.InferenceSession(str(exported.path(VARIANT)), options))
        cache = decoder.start(batch=len(rows), capacity=prompts["input_ids"].shape[1])
        logits = cache.run(prompts["input_ids"], counts=prompts["attention_mask"].sum(1))["logits"]
        found.append(float(np.abs(logits[rows, golden.positions] - golden.logits).max() / scale))
    assert found[0] < GRAPH_GOLDEN_ELSEWHERE[precision] / 2
    assert found[1] > 1e-3  # without packing activations are not rounded


def test_a_type_without_kernels_here_is_compared_as_a_upcast_and_its_self_test_is_left_to_the_loader(
    own_graphs: CopyGraphs,
) -> None:
    exported = own_graphs("olmoe", precision="bfloat16")
    found = {record.name.removeprefix("onnx bfloat16 "): record for record in check_exported(exported)}
    outcomes = {name: record.outcome for name, record in found.items()}
    assert outcomes == dict.fromkeys(("structure", "logits", "greedy", "experts"), "passed") | {"self-test": "skipped"}
    assert (
        "by the same graph widened to float32 on the CPU; bfloat16 itself runs where a provider has it"
        in found["logits"].detail
    )
    assert "CPUExecutionProvider, has no bfloat16 kernels" in found["self-test"].detail
    with pytest.raises(
        VerificationError, match=r"b3-k2 \(bfloat16\) fails its self-test: CPUExecutionProvider has no bfloat16 kernels"
    ):
        run_self_test(exported, golden_of=exported)


def test_without_answers_only_structure_is_checked(own_graphs: CopyGraphs) -> None:
    checks = check_exported(own_graphs("olmoe"), answers=False)
    assert [record.outcome for record in checks] == ["passed", "skipped"]


def test_without_the_reshape_in_front_of_the_experts_the_runtime_is_silently_wrong_and_is_caught(
    own_graphs: CopyGraphs, monkeypatch: Any
) -> None:
    """When the runtime is mended one day, this test says that the Reshape may go."""
    good = own_graphs("olmoe", checked=True)
    bad = own_graphs("olmoe")
    edit_graph(bad.path(VARIANT), without_reshape)
    monkeypatch.setattr("exporter.graphs.check.graph_verifier.check_same_graph", lambda path, found, planned: None)
    with pytest.raises(VerificationError, match=r"variant b3-k2 \(float32\): prompt, row 0: max \|Δ\| of the logits"):
        check_exported(bad)
    with pytest.raises(
        VerificationError,
        match=r"variant b3-k2 \(float32\) fails its self-test: layer 0 is the first that differs.*onnxruntime 1\.",
    ):
        run_self_test(bad, golden_of=good)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_one_expert_that_differs_in_a_half_precision_file_is_found_after_upcasting(
    precision: str, own_graphs: CopyGraphs, monkeypatch: Any
) -> None:
    exported = own_graphs("olmoe", precision=precision)
    _overwrite(exported, "blocks.1.experts.fc2", np.full(64 * 32, 0.5, np.float16))
    monkeypatch.setattr("exporter.graphs.check.staged_graphs.same_digest", lambda path, data: True)
    with pytest.raises(
        VerificationError, match=rf"variant b3-k2 \({precision}\): prompt, row 1: max \|Δ\| of the logits"
    ):
        check_exported(exported)


def test_a_float16_graph_whose_layer_lost_its_experts_fails_its_self_test(own_graphs: CopyGraphs) -> None:
    exported = own_graphs("olmoe", checked=True, precision="float16")
    assert 0 < run_self_test(exported, golden_of=exported).difference < 3e-3
    _overwrite(exported, "blocks.1.experts.fc2", np.zeros(8 * 64 * 32, np.float16))
    with pytest.raises(VerificationError, match="layer 1 is the first that differs"):
        run_self_test(exported, golden_of=exported)


def test_a_float16_graph_in_the_trap_fails_its_self_test(own_graphs: CopyGraphs) -> None:
    good = own_graphs("olmoe", checked=True, precision="float16")
    bad = own_graphs("olmoe", precision="float16")
    edit_graph(bad.path(VARIANT), without_reshape)
    with pytest.raises(
        VerificationError, match=r"variant b3-k2 \(float16\) fails its self-test: layer 0 is the first that differs"
    ):
        run_self_test(bad, golden_of=good)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_limits_and_resized_image_positions_are_rounded_as_the_file_has_them(
    precision: str, own_graphs: CopyGraphs
) -> None:
    """0.3 is no number of either type; the tower was trained on a 6 × 6 grid and is given 4 × 6; pooled by three, a row
    is padded."""
    images = {"image_default_input_size": [16, 24]}
    exported = own_graphs("molmoe", precision=precision, clip_qkv=0.3, vision_backbone=images, image_pooling_h=3)
    assert {record.outcome for record in check_exported(exported) if not record.name.endswith("self-test")} == {
        "passed"
    }


def test_golden_logits_are_those_of_tokens_that_clearly_go_to_their_experts(tmp_path: Path) -> None:
    scores = np.zeros((2 * 6, 4), np.float32)
    scores[:, 0], scores[:, 1] = 4, [0.1, 3, 0.2, 1, 2, 0.3, 3, 0.1, 0.2, 1, 0.3, 2]
    answer = Answer(logits=np.zeros((2, 6, 9), np.float32), decoded=np.zeros((2, 1, 9), np.float32))
    inside = Inside(hidden=np.zeros((1, 2, 3), np.float32), scores=(None, scores.reshape(2, 6, 4)))
    mask = np.asarray([[1] * 6, [1] * 4 + [0] * 2])
    following = np.zeros((2, 1), np.int64)
    prompts = Prompts(inputs={"attention_mask": mask}, following=following, values=mask, features=None, embed=None)
    golden = graph_golden("v", find_precision("float32"), prompts, answer, inside, top_k=(1, 2))
    assert golden.positions.tolist() == [[1, 3, 4, 5], [0, 1, 2, 3]]
    inside = replace(inside, scores=(None, None))
    dense = graph_golden("v", find_precision("float32"), prompts, answer, inside, top_k=None)
    assert dense.positions.tolist() == [[2, 3, 4, 5], [0, 1, 2, 3]]


def test_the_self_test_passes_on_the_graph_it_was_made_for(own_graphs: CopyGraphs) -> None:
    exported = own_graphs("olmoe", checked=True)
    assert run_self_test(exported, golden_of=exported).difference == 0


def test_the_self_test_names_the_first_layer_whose_weights_were_changed(own_graphs: CopyGraphs) -> None:
    exported = own_graphs("olmoe", checked=True)
    _overwrite(exported, "blocks.1.experts.fc2", np.full(8 * 64 * 32, 0.5, np.float32))
    with pytest.raises(VerificationError, match="layer 1 is the first that differs"):
        run_self_test(exported, golden_of=exported)
    with pytest.raises(VerificationError, match=r"weights\.float32\.bin: the file on disk is not what was written"):
        check_exported(exported)


def test_decoding_that_goes_wrong_is_named_with_its_step(own_graphs: CopyGraphs) -> None:
    exported = own_graphs("olmoe", checked=True)
    path = exported.folder / graph_golden_path("float32", VARIANT)
    golden = read_graph_golden(path)
    greedy = golden.greedy.copy()
    greedy[1, 3] = (greedy[1, 3] + 1) % 128
    write_graph_golden(path, replace(golden, greedy=greedy))
    with pytest.raises(VerificationError, match="decoding, step 3 of row 1 gives token"):
        run_self_test(exported, golden_of=exported)


def test_another_k_in_the_graph_is_named_with_its_layer(own_graphs: CopyGraphs) -> None:
    exported = own_graphs("olmoe")

    edit_graph(exported.path(VARIANT), attribute("layers.1/experts", "k", 3))
    with pytest.raises(VerificationError, match=r"b3-k2\.onnx: layers\.1: 3 experts per token, planned are 2"):
        check_decoder(exported.path(VARIANT), check_model(exported.path(VARIANT)), top_k=(4, 2, 2))


def test_a_plan_with_another_depth_is_told_from_the_graph(own_graphs: CopyGraphs) -> None:
    exported = own_graphs("olmoe")
    with pytest.raises(VerificationError, match="3 nodes GroupQueryAttention, planned are 4 for 4 layers"):
        check_decoder(exported.path(VARIANT), check_model(exported.path(VARIANT)), top_k=(4, 2, 2, 2))
    with pytest.raises(
        VerificationError, match=r"expert nodes at layers\.0, layers\.1, layers\.2; planned are layers\.0, layers\.2"
    ):
        check_decoder(exported.path(VARIANT), check_model(exported.path(VARIANT)), top_k=(4, None, 2))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("location", "../again.bin", "no plain file beside the graph"),
        ("offset", "4097", "no multiple of 4096"),
        ("offset", str(2**40), "its data is bytes 1099511627776–"),
        ("length", "12", "12 bytes of data, its shape"),
    ],
)
def test_weights_that_stand_elsewhere_are_refused(key: str, value: str, message: str, own_graphs: CopyGraphs) -> None:
    exported = own_graphs("olmoe")
    (exported.folder / "onnx" / "again.bin").write_bytes(b"")
    edit_graph(exported.path(VARIANT), place("final_norm", key, value))
    with pytest.raises(VerificationError, match=message):
        check_model(exported.path(VARIANT))


def test_a_cut_off_data_file_is_refused(own_graphs: CopyGraphs) -> None:
    exported = own_graphs("olmoe")
    path = exported.folder / graph_data_path("float32")
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size // 2)
    with pytest.raises(VerificationError, match=r"b3-k2\.onnx: tensor .*: its data is bytes .* has"):
        check_model(exported.path(VARIANT))
