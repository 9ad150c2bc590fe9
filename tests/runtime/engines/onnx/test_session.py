"""Sessions: which runtimes are refused, and outputs added to a graph in memory."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from runtime.documents.golden_outputs import read_graph_golden
from runtime.documents.graph_contract import CPU, CUDA, hidden_name
from runtime.engines.onnx.added_outputs import with_outputs
from runtime.engines.onnx.decoder import OnnxDecoder
from runtime.engines.onnx.session import check_version, open_session
from runtime.errors import VerificationError
from tests.support.graph_families import GraphFamilies


@pytest.mark.parametrize("version", ["1.27.3", "0.9", "nightly"])
def test_runtimes_that_are_known_wrong_are_refused(version: str) -> None:
    with pytest.raises(
        VerificationError, match=rf"onnxruntime {version}: versions before 1\.28 compute mixtures of experts wrongly"
    ):
        check_version(version)


@pytest.mark.parametrize("version", ["1.28.0", "1.31.1", "2.0.0"])
def test_newer_runtimes_are_not(version: str) -> None:
    check_version(version)


def test_a_graph_that_runs_elsewhere_than_asked_for_is_refused(
    graph_families: GraphFamilies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This build falls back to the CPU, as one with CUDA does for kernels that it lacks there."""
    path = graph_families.exported("olmoe").path("b3-k2")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    placed = r"asked for CUDAExecutionProvider, but GroupQueryAttention, MatMul, MoE run on CPUExecutionProvider"
    with pytest.warns(UserWarning), pytest.raises(VerificationError, match=placed):
        open_session(path, provider=CUDA, threads=1)


def test_a_provider_that_this_build_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match=r"has no NoSuchProvider here; it has .*CPUExecutionProvider"):
        open_session(tmp_path / "any.onnx", provider="NoSuchProvider")


@pytest.mark.parametrize("content", [b"\x00\x01garbage", b"", None])
def test_a_file_that_is_no_graph_is_refused_with_the_runtimes_words(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "broken.onnx").write_bytes(content)
    with pytest.raises(VerificationError, match=r"broken\.onnx: onnxruntime 1\.\S+: \S+") as caught:
        open_session(tmp_path / "broken.onnx")
    assert "\n" not in str(caught.value)


def test_a_graph_in_memory_that_is_refused_names_the_folder_of_its_data(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match=rf"{tmp_path}: a graph in memory: onnxruntime 1\."):
        open_session(b"\x00\x01garbage", data_folder=tmp_path)


def test_added_outputs_leave_the_others_as_they_are(graph_families: GraphFamilies) -> None:
    exported = graph_families.exported("llama")
    graph = exported.path(exported.plan.variants[0].id)
    names = [hidden_name(layer) for layer in range(3)]
    inside = OnnxDecoder(
        open_session(with_outputs(graph.read_bytes(), names), data_folder=graph.parent, threads=1, spinning=False)
    )
    ids = np.asarray([[3, 4, 5]])
    found = inside.start(batch=1, capacity=3).run(ids)
    plain = exported.decoder(exported.plan.variants[0]).start(batch=1, capacity=3).run(ids)
    assert set(found) == {"logits", *names}
    assert set(plain) == {"logits"}
    np.testing.assert_array_equal(found["logits"], plain["logits"])
    assert found[names[2]].shape == (1, 3, 64)


def test_a_graph_that_is_no_decoder_is_refused(graph_families: GraphFamilies) -> None:
    exported = graph_families.exported("molmoe", removed=(1,), vision_backbone=None)
    with pytest.raises(VerificationError, match="the graph is no decoder this can run: it takes input_ids"):
        OnnxDecoder(open_session(exported.path("embeddings"), threads=1))


def test_a_file_that_is_no_golden_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with pytest.raises(VerificationError, match=r"broken\.safetensors: cannot be read"):
        read_graph_golden(tmp_path / "broken.safetensors")
