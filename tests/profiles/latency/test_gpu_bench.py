"""On a CUDA device a tiny family is measured and fitted in seconds; `make gpu-check` runs this."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from runtime.cli import main
from runtime.documents.latency.profile_document import read_profile
from tests.support.families import export_plan, model_source, plan_family
from tests.support.tiny_tokenizer import write_tiny_processor_files

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device that torch can use"),
]


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_tiny_family_is_measured_and_fitted_on_cuda(tmp_path: Path) -> None:
    write_tiny_processor_files(model_source("molmoe", tmp_path / "source"))
    export_plan(plan_family(tmp_path / "source", removals=((), (2,)), top_ks=(4, 1)), tmp_path / "family")
    out = tmp_path / "gpu.json"
    options = ("--engine", "torch", "--repeats", "5", "--grid", "batch=1,2 image=none,24x24 text=8,20")
    invoke("bench", tmp_path / "family", "--preset", "h100", "--out", out, *options, "--spread-limit", "1000")
    profile = read_profile(out)
    assert (profile.device.kind, profile.device.name) == ("cuda", torch.cuda.get_device_name(0))
    assert {point.stage for point in profile.points} == {"image", "vision", "prefill", "sampling", "decode"}
    assert all(one.peak_memory_bytes for one in profile.footprints)
    assert "end to end" in invoke("fit", out, "--out", tmp_path / "estimator.json")
