"""Graphs on a CUDA device: run with `make gpu-check` on a machine that has one; skipped visibly elsewhere."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from runtime.documents.family_layout import GRAPH_INPUTS, graph_golden_path
from runtime.documents.graph_contract import CUDA
from runtime.engines.onnx.self_test import self_test
from runtime.engines.onnx.session import open_session
from runtime.errors import VerificationError
from tests.support.graph_families import Exported, check_exported, export_graphs, reference_logits, write_graph_model
from tests.support.tiny_molmoe import write_tiny_molmoe
from tests.support.tiny_transformers import masked_original

TOLERANCES = {"float16": 2e-2, "bfloat16": 1e-1}


def require_cuda() -> None:
    if CUDA not in onnxruntime.get_available_providers():
        pytest.skip(
            f"onnxruntime {onnxruntime.__version__} has no {CUDA}; install onnxruntime-gpu in the place of onnxruntime"
        )


@pytest.mark.gpu
@pytest.mark.parametrize("case", ["olmoe", "mixtral", "qwen2_moe", "qwen3_moe", "llama"])
@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_a_variant_on_cuda_computes_what_transformers_computes(case: str, precision: str, tmp_path: Path) -> None:
    require_cuda()
    model = write_graph_model(tmp_path / "source", case)
    exported = export_graphs(
        tmp_path / "source",
        tmp_path / "family",
        top_k=None if case == "llama" else 2,
        precision=precision,
    )
    variant = exported.plan.variants[0]
    session = open_session(exported.path(variant.id), provider=CUDA)
    assert session.get_providers()[0] == CUDA, "the CUDA provider could not be loaded"
    row = np.random.default_rng(0).integers(2, 128, 9)
    logits = run_on_cuda(session, row)
    expected = reference_logits(masked_original(model, variant.layers, variant.top_k), row.tolist())
    np.testing.assert_allclose(logits, expected, rtol=0, atol=TOLERANCES[precision] * np.abs(expected).max())


@pytest.mark.gpu
@pytest.mark.parametrize("case", ["olmoe", "olmoe clipped", "mixtral", "qwen2_moe", "qwen3_moe", "llama"])
@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_a_half_precision_variant_exported_on_the_cpu_passes_its_self_test_on_cuda(
    case: str, precision: str, tmp_path: Path
) -> None:
    require_cuda()
    write_graph_model(tmp_path / "source", case)
    self_test_on_cuda(
        export_graphs(
            tmp_path / "source",
            tmp_path / "family",
            top_k=None if case == "llama" else 2,
            precision=precision,
        )
    )


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_vision_and_embeddings_pass_the_self_test_on_cuda(precision: str, tmp_path: Path) -> None:
    require_cuda()
    write_tiny_molmoe(tmp_path / "source", n_layers=4, d_model=64)
    self_test_on_cuda(export_graphs(tmp_path / "source", tmp_path / "family", precision=precision))


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "int8", "int4"])
def test_what_the_contract_does_not_promise_on_cuda_is_refused_there(precision: str, tmp_path: Path) -> None:
    """Where this fails, ONNX Runtime has got kernels for the type: then it may be tried (graph_contract.PROVIDERS)."""
    require_cuda()
    write_graph_model(tmp_path / "source", "olmoe")
    exported = export_graphs(tmp_path / "source", tmp_path / "family", precision=precision)
    with pytest.raises(VerificationError, match="onnxruntime"):
        open_session(exported.path(exported.plan.variants[0].id), provider=CUDA)


def self_test_on_cuda(exported: Exported) -> None:
    """Golden outputs by the CPU, of the graph widened to float32; then the graph itself on CUDA."""
    check_exported(exported)
    variant, precision = exported.plan.variants[0].id, exported.precision
    golden, inputs = (exported.folder / graph_golden_path(precision, name) for name in (variant, GRAPH_INPUTS))
    assert self_test(exported.path(variant), golden, inputs, provider=CUDA).difference > 0, (
        "CUDA rounds: nothing was computed there"
    )


def run_on_cuda(session: onnxruntime.InferenceSession, row: np.ndarray) -> np.ndarray:
    """The logits [length, vocabulary] of one row, its cache on the device; bfloat16 is read back by way of float32."""
    from onnxruntime import OrtValue

    elements = {"tensor(float)": 1, "tensor(float16)": 10, "tensor(bfloat16)": 16}
    binding = session.io_binding()
    binding.bind_cpu_input("input_ids", row[None].astype(np.int64))
    binding.bind_cpu_input("attention_mask", np.ones((1, len(row)), np.int64))
    for value in session.get_inputs():
        if value.name.startswith("past_key_values."):
            _, heads, _, width = value.shape
            cache = OrtValue.ortvalue_from_shape_and_type([1, heads, len(row), width], elements[value.type], "cuda", 0)
            binding.bind_ortvalue_input(value.name, cache)
            binding.bind_ortvalue_output(value.name.replace("past_key_values", "present"), cache)
    binding.bind_output("logits", "cpu")
    session.run_with_iobinding(binding)
    logits = binding.get_outputs()[-1]
    if session.get_outputs()[0].type != "tensor(bfloat16)":
        return logits.numpy()[0].astype(np.float32)
    import torch

    return torch.from_dlpack(logits._ortvalue).float().numpy()[0]
