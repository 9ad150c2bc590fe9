"""Values of bfloat16 to the runtime and back, and a decoder whose inputs, outputs and caches are bfloat16."""

import numpy as np
import pytest

from exporter.graphs.check.upcast import upcast_to_float32
from runtime.engines.bfloat16 import to_bits
from runtime.engines.onnx.decoder import OnnxDecoder
from runtime.engines.onnx.session import open_session
from runtime.engines.onnx.values import read, value_of_bits
from tests.support.bfloat16_graphs import bfloat16_outside
from tests.support.graph_families import GraphFamilies


def test_a_value_of_the_runtime_is_read_as_it_was_given() -> None:
    bits = to_bits(np.arange(6, dtype=np.float32).reshape(2, 3))
    assert np.array_equal(read(value_of_bits(bits)), np.arange(6).reshape(2, 3))


@pytest.mark.parametrize("case", ["olmoe", "llama"])
def test_a_decoder_with_bfloat16_caches_gives_the_logits_of_its_upcast_to_float32(
    case: str, graph_families: GraphFamilies
) -> None:
    exported = graph_families.exported(case, top_k=None, precision="bfloat16")
    (path,) = [exported.path(variant.id) for variant in exported.plan.variants]
    twin, outside = (
        OnnxDecoder(open_session(model, data_folder=path.parent, threads=1, spinning=False))
        for model in (upcast_to_float32(path.read_bytes()), bfloat16_outside(path.read_bytes()))
    )
    ids = np.random.default_rng(0).integers(2, 128, (2, 9))
    caches = [decoder.start(batch=2, capacity=20) for decoder in (twin, outside)]
    for values, counts in ((ids, (9, 5)), (ids[:, :1], (1, 1)), (ids[:, :4], (2, 4))):
        expected, found = (cache.run(values, counts=counts)["logits"] for cache in caches)
        assert found.dtype == np.float32
        for row, count in enumerate(counts):
            difference = np.abs(found[row, :count] - expected[row, :count]).max()
            assert difference <= 4e-2 * np.abs(expected).max()  # a token may fall to another expert
