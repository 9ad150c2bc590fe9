"""Which tensors a GGUF file is made of; that llama.cpp computes the same by it is checked by the benchmark itself."""

import json
from pathlib import Path

from exporter.checkpoint.checkpoint import open_checkpoint
from profiles.benchmarks.onnx.gguf_file import gguf_tensors
from tests.support.families import model_source


def test_every_tensor_of_the_checkpoint_is_stored_once(tmp_path: Path) -> None:
    source = model_source("olmoe", tmp_path / "source")
    config = json.loads((source / "config.json").read_bytes())
    tensors = list(gguf_tensors(config))
    assert sorted(source for tensor in tensors for source in tensor.sources) == sorted(open_checkpoint(source).tensors)
    assert {tensor.name for tensor in tensors if not tensor.quantised} >= {
        "output_norm.weight",
        "blk.0.ffn_gate_inp.weight",
    }
    assert {tensor.name for tensor in tensors if tensor.quantised} >= {"output.weight", "blk.0.ffn_gate_exps.weight"}
