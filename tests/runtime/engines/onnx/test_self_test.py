"""The self-test that a loader runs: what it calls the faults of the graphs in front of a decoder, and of the session it
is given."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import safetensors.numpy

from runtime.documents.family_layout import EMBEDDINGS, GRAPH_INPUTS, VISION, graph_golden_path
from runtime.documents.golden_outputs import GraphGolden, read_graph_golden, write_graph_golden
from runtime.documents.graph_contract import FAMILY_DIGEST, PRECISION
from runtime.engines.onnx.cache import Feed
from runtime.engines.onnx.decoder import OnnxDecoder
from runtime.engines.onnx.self_test import self_test
from runtime.errors import VerificationError
from tests.support.graph_edits import edit_graph
from tests.support.graph_families import CopyGraphs, Exported, run_self_test

VARIANT = "b3-k2"
Arrays = dict[str, np.ndarray]


@pytest.fixture
def molmoe(own_graphs: CopyGraphs) -> Exported:
    """A checked family with images; block 2 of 4 is removed."""
    return own_graphs("molmoe", checked=True)


def inputs_path(exported: Exported) -> Path:
    return exported.folder / graph_golden_path(exported.precision, GRAPH_INPUTS)


def edit_inputs(exported: Exported, edit: Callable[[Arrays], object]) -> None:
    tensors = safetensors.numpy.load_file(inputs_path(exported))
    edit(tensors)
    safetensors.numpy.save_file(tensors, inputs_path(exported))


def scale_by(factor: float, output: str) -> Callable[[Any], None]:
    """An edit of a graph that puts out a multiple of `output`."""

    def edit(model: Any) -> None:
        for node in model.graph.node:
            node.output[:] = [f"{output}/before" if name == output else name for name in node.output]
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(factor, np.float32), "factor"))
        model.graph.node.append(onnx.helper.make_node("Mul", [f"{output}/before", "factor"], [output]))

    return edit


def test_the_shared_graphs_pass_where_they_were_made(molmoe: Exported) -> None:
    assert run_self_test(molmoe, golden_of=molmoe).difference == 0


def test_a_fault_of_the_vision_graph_is_told_from_one_of_the_embeddings(molmoe: Exported) -> None:
    edit_graph(molmoe.path(VISION), scale_by(1.01, "image_features"))
    with pytest.raises(
        VerificationError,
        match=r"\(float32\) fails its self-test: vision\.onnx, row 0: max \|Δ\| of image_features is 0\.01 "
        r".*onnxruntime 1\..*CPUExecutionProvider",
    ):
        run_self_test(molmoe, golden_of=molmoe)


def test_a_fault_of_the_embeddings_graph_is_named_with_its_row(molmoe: Exported) -> None:
    edit_graph(molmoe.path(EMBEDDINGS), scale_by(1.01, "inputs_embeds"))
    with pytest.raises(
        VerificationError,
        match=r"embeddings\.onnx, row 0: max \|Δ\| of inputs_embeds is 0\.01 of the largest, allowed 0\.001",
    ):
        run_self_test(molmoe, golden_of=molmoe)


def test_the_row_that_differs_is_named_and_not_the_first(molmoe: Exported) -> None:
    edit_inputs(molmoe, lambda tensors: np.add.at(tensors["inputs_embeds"], (1, 4), 1.0))
    with pytest.raises(VerificationError, match=r"embeddings\.onnx, row 1: max \|Δ\| of inputs_embeds"):
        run_self_test(molmoe, golden_of=molmoe)


def test_features_that_are_not_numbers_are_a_difference(molmoe: Exported) -> None:
    edit_graph(molmoe.path(VISION), scale_by(np.nan, "image_features"))
    with pytest.raises(VerificationError, match=r"vision\.onnx, row 0: max \|Δ\| of image_features is nan"):
        run_self_test(molmoe, golden_of=molmoe)


@pytest.mark.parametrize("name", [VISION, EMBEDDINGS])
def test_a_missing_shared_graph_is_an_error(name: str, molmoe: Exported) -> None:
    molmoe.path(name).unlink()
    with pytest.raises(
        VerificationError, match=rf"{name}\.onnx: missing; the golden prompts .*inputs\.safetensors go through it"
    ):
        run_self_test(molmoe, golden_of=molmoe)


@pytest.mark.parametrize("name", ["image_features", "inputs_embeds", "image_masks"])
def test_golden_prompts_with_half_an_image_are_an_error(name: str, molmoe: Exported) -> None:
    edit_inputs(molmoe, lambda tensors: tensors.pop(name))
    with pytest.raises(VerificationError, match=rf"inputs\.safetensors: {name} of prompts with images missing"):
        run_self_test(molmoe, golden_of=molmoe)


def test_prompts_without_the_images_that_the_graph_takes_are_an_error(molmoe: Exported) -> None:
    edit_inputs(
        molmoe,
        lambda tensors: [tensors.pop(name) for name in ("images", "image_masks", "image_features", "image_input_idx")],
    )
    with pytest.raises(
        VerificationError,
        match=r"embeddings\.onnx takes input_ids, image_features, image_input_idx; there are input_ids",
    ):
        run_self_test(molmoe, golden_of=molmoe)


def test_a_vision_graph_of_another_model_is_told_by_its_shape(molmoe: Exported) -> None:
    edit_inputs(
        molmoe,
        lambda tensors: tensors.update(image_features=np.ascontiguousarray(tensors["image_features"][:, :, :32])),
    )
    with pytest.raises(
        VerificationError, match=r"vision\.onnx gives image_features of shape \[2, 18, 64\], golden is \[2, 18, 32\]"
    ):
        run_self_test(molmoe, golden_of=molmoe)


def test_a_family_of_text_alone_has_its_embeddings_tested(own_graphs: CopyGraphs) -> None:
    exported = own_graphs("molmoe", checked=True, vision_backbone=None)
    assert run_self_test(exported, golden_of=exported).difference == 0
    edit_graph(exported.path(EMBEDDINGS), scale_by(1.01, "inputs_embeds"))
    with pytest.raises(VerificationError, match=r"embeddings\.onnx, row 0"):
        run_self_test(exported, golden_of=exported)


def test_the_shared_graphs_may_be_left_to_another_variants_test(molmoe: Exported) -> None:
    molmoe.path(VISION).unlink()
    golden = molmoe.folder / graph_golden_path("float32", VARIANT)
    assert self_test(molmoe.path(VARIANT), golden, inputs_path(molmoe), threads=1, shared=False).difference == 0


def test_a_session_on_another_provider_is_not_taken_for_the_one_asked_for(own_graphs: CopyGraphs) -> None:
    exported = own_graphs("olmoe", checked=True, precision="float16")
    golden, inputs = (exported.folder / graph_golden_path("float16", name) for name in (VARIANT, GRAPH_INPUTS))
    decoder = exported.decoder(exported.plan.variants[0])
    with pytest.raises(
        VerificationError,
        match="variant b3-k2: asked to test CUDAExecutionProvider, but the session runs on CPUExecutionProvider",
    ):
        self_test(exported.path(VARIANT), golden, inputs, provider="CUDAExecutionProvider", decoder=decoder)


def test_a_second_prefill_that_goes_wrong_is_told_from_the_first(own_graphs: CopyGraphs, monkeypatch: Any) -> None:
    exported = own_graphs("olmoe", checked=True)
    feed = OnnxDecoder.feed

    def wrong(self: OnnxDecoder, binding: Any, given: Feed) -> Arrays:
        """As a kernel that forgets the past of several tokens."""
        new = given.values.shape[1]
        forgotten = replace(given, seen=np.minimum(given.seen, new), total=new)
        return feed(self, binding, forgotten if new > 1 else given)

    monkeypatch.setattr(OnnxDecoder, "feed", wrong)
    with pytest.raises(
        VerificationError, match=r"fails its self-test: a second prefill over a first: max \|Δ\| of the logits is"
    ):
        run_self_test(exported, golden_of=exported)


def golden_file(exported: Exported) -> Path:
    return exported.folder / graph_golden_path(exported.precision, VARIANT)


def edit_golden(exported: Exported, edit: Callable[[GraphGolden], GraphGolden]) -> None:
    write_graph_golden(golden_file(exported), edit(read_graph_golden(golden_file(exported))))


def say(path: Path, key: str, value: str | None) -> None:
    """Change a graph's metadata; None takes the key away."""

    def edit(model: Any) -> None:
        others = {entry.key: entry.value for entry in model.metadata_props if entry.key != key}
        onnx.helper.set_model_props(model, others if value is None else others | {key: value})

    edit_graph(path, edit)


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("opened", [False, True])
def test_another_variants_graph_is_refused_before_anything_runs(
    precision: str, opened: bool, own_graphs: CopyGraphs, monkeypatch: Any
) -> None:
    """Its outputs may be within the limit of a half precision, where a variant has fewer experts in one layer."""
    exported = own_graphs("olmoe", checked=True, precision=precision)
    other = own_graphs("olmoe", top_k=3, precision=precision)
    graph = other.path("b3-k3")
    decoder = other.decoder(other.plan.variants[0]) if opened else None
    monkeypatch.setattr(OnnxDecoder, "feed", None)
    with pytest.raises(
        VerificationError, match=r"b3-k3\.onnx: metadata trimoe\.variant is 'b3-k3', .*b3-k2\.safetensors says 'b3-k2'"
    ):
        self_test(graph, golden_file(exported), inputs_path(exported), threads=1, decoder=decoder)


def test_a_graph_of_another_type_is_refused(own_graphs: CopyGraphs) -> None:
    exported = own_graphs("olmoe", checked=True)
    say(exported.path(VARIANT), PRECISION, "int8")
    with pytest.raises(
        VerificationError, match=r"b3-k2\.onnx: metadata trimoe\.precision is 'int8', .* says 'float32'"
    ):
        run_self_test(exported, golden_of=exported)
    say(exported.path(VARIANT), PRECISION, None)
    with pytest.raises(
        VerificationError, match=r"b3-k2\.onnx: metadata trimoe\.precision is missing, .* says 'float32'"
    ):
        run_self_test(exported, golden_of=exported)


@pytest.mark.parametrize("name", [VARIANT, VISION, EMBEDDINGS])
def test_a_graph_of_another_family_is_refused_where_both_know_theirs(name: str, molmoe: Exported) -> None:
    say(molmoe.path(name), FAMILY_DIGEST, "one")
    assert read_graph_golden(golden_file(molmoe)).family_digest is None
    assert run_self_test(molmoe, golden_of=molmoe).difference == 0
    edit_golden(molmoe, lambda golden: replace(golden, family_digest="other"))
    with pytest.raises(
        VerificationError, match=rf"{name}\.onnx: metadata trimoe\.family_digest is 'one', .* says 'other'"
    ):
        run_self_test(molmoe, golden_of=molmoe)


def test_golden_outputs_of_another_depth_are_told_before_anything_runs(own_graphs: CopyGraphs) -> None:
    exported = own_graphs("olmoe", checked=True)
    edit_golden(exported, lambda golden: replace(golden, layers=golden.layers[:2]))
    with pytest.raises(VerificationError, match=r"b3-k2\.onnx: 3 layers, .*b3-k2\.safetensors has outputs of 2"):
        run_self_test(exported, golden_of=exported)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda golden: replace(golden, positions=golden.positions + 10**6),
            "the golden outputs do not fit the graph's logits of shape",
        ),
        (
            lambda golden: replace(golden, greedy=golden.greedy + 10**6),
            "the golden outputs do not fit the graph's logits of shape",
        ),
        (
            lambda golden: replace(golden, logits=golden.logits[..., :-1]),
            "the golden outputs do not fit the graph's logits of shape",
        ),
        (
            lambda golden: replace(golden, logits=0 * golden.logits),
            "the largest golden logit is 0, so that nothing can be compared",
        ),
    ],
)
def test_damaged_golden_outputs_are_a_failure_and_no_traceback(
    edit: Callable[[GraphGolden], GraphGolden], message: str, own_graphs: CopyGraphs
) -> None:
    exported = own_graphs("olmoe", checked=True)
    edit_golden(exported, edit)
    with pytest.raises(VerificationError, match=rf"variant b3-k2 \(float32\) fails its self-test: {message}"):
        run_self_test(exported, golden_of=exported)


def test_what_the_runtime_refuses_while_it_runs_names_the_graph_and_the_runtime(
    own_graphs: CopyGraphs,
) -> None:
    exported = own_graphs("olmoe", checked=True)
    edit_inputs(exported, lambda tensors: tensors.update(input_ids=tensors["input_ids"] + 10**6))
    with pytest.raises(
        VerificationError, match=r"b3-k2\.onnx: self-test: onnxruntime 1\.\S+: .*indices element out of data bounds"
    ):
        run_self_test(exported, golden_of=exported)


def test_a_head_that_differs_is_told_with_the_layer_that_differs_most(own_graphs: CopyGraphs) -> None:
    exported = own_graphs("olmoe", checked=True)
    edit_graph(exported.path(VARIANT), scale_by(1.01, "logits"))
    message = (
        r"no layer differs by more than is allowed .* most does layer 0, by 0 of its largest value: .* or "
        r"the head is wrong"
    )
    with pytest.raises(VerificationError, match=message):
        run_self_test(exported, golden_of=exported)
