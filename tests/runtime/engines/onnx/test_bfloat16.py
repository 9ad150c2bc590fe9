"""bfloat16 between numpy and the runtime, against torch; and a decoder whose inputs, outputs and caches are
bfloat16."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from exporter.graphs.check.upcast import upcast_to_float32
from runtime.engines.onnx.bfloat16 import from_bits, read, to_bits, value_of
from runtime.engines.onnx.decoder import OnnxDecoder
from runtime.engines.onnx.session import open_session
from tests.support.tiny_graphs import export_graphs, write_model

FLOAT, BFLOAT16 = onnx.TensorProto.FLOAT, onnx.TensorProto.BFLOAT16


def test_rounding_is_torchs() -> None:
    random = np.random.default_rng(0)
    values = random.standard_normal(100_000).astype(np.float32) * np.exp(20 * random.standard_normal(100_000)).astype(
        np.float32
    )
    values[:7] = [0.0, -0.0, np.inf, -np.inf, 3.4e38, 1.00390625, 1.01171875]  # the last two lie half-way
    expected = torch.from_numpy(values).bfloat16()
    assert np.array_equal(to_bits(values), expected.view(torch.uint16).numpy())
    assert np.array_equal(from_bits(to_bits(values)), expected.float().numpy())


def test_what_is_no_number_stays_none() -> None:
    assert np.isnan(from_bits(to_bits(np.asarray([np.nan], np.float32)))).all()


def test_a_value_of_the_runtime_is_read_as_it_was_given() -> None:
    bits = to_bits(np.arange(6, dtype=np.float32).reshape(2, 3))
    assert np.array_equal(read(value_of(bits)), np.arange(6).reshape(2, 3))


def bfloat16_outside(model: bytes) -> bytes:
    """The graph computing in float32, with inputs, outputs and caches of bfloat16: what the CPU can run of it."""
    found = onnx.ModelProto.FromString(upcast_to_float32(model))
    graph, before, after = found.graph, [], []
    for value, casts in [(value, before) for value in graph.input] + [(value, after) for value in graph.output]:
        if value.type.tensor_type.elem_type != FLOAT:
            continue
        wide = f"{value.name}/wide"
        for node in graph.node:
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    if name == value.name:
                        names[index] = wide
        first, second, kind = (value.name, wide, FLOAT) if casts is before else (wide, value.name, BFLOAT16)
        casts.append(onnx.helper.make_node("Cast", [first], [second], to=kind))
        value.type.tensor_type.elem_type = BFLOAT16
    nodes = [*before, *graph.node, *after]
    del graph.node[:]
    graph.node.extend(nodes)
    serialised: bytes = found.SerializeToString()
    return serialised


@pytest.mark.parametrize("case", ["olmoe", "llama"])
def test_a_decoder_with_bfloat16_caches_gives_the_logits_of_its_upcast_to_float32(case: str, tmp_path: Path) -> None:
    write_model(tmp_path / "source", case)
    exported = export_graphs(tmp_path / "source", tmp_path / "family", removed=(2,), top_k=None, precision="bfloat16")
    (path,) = [exported.path(variant.id) for variant in exported.plan.variants]
    upcast, outside = (
        OnnxDecoder(open_session(model, data_folder=path.parent, threads=1, spinning=False))
        for model in (upcast_to_float32(path.read_bytes()), bfloat16_outside(path.read_bytes()))
    )
    ids = np.random.default_rng(0).integers(2, 128, (2, 9))
    caches = [decoder.start(batch=2, capacity=20) for decoder in (upcast, outside)]
    for values, counts in ((ids, (9, 5)), (ids[:, :1], (1, 1)), (ids[:, :4], (2, 4))):
        expected, found = (cache.run(values, counts=counts)["logits"] for cache in caches)
        assert found.dtype == np.float32
        for row, count in enumerate(counts):
            difference = np.abs(found[row, :count] - expected[row, :count]).max()
            assert difference <= 4e-2 * np.abs(expected).max()  # a token may fall to another expert
