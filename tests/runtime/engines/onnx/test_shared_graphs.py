"""The graphs in front of the decoders, in the types that their inputs have."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.graphs.check.upcast import upcast_to_float32
from runtime.documents.family_layout import EMBEDDINGS, VISION
from runtime.engines.onnx.session import open_session
from runtime.engines.onnx.shared_graphs import SharedGraph, SharedGraphs
from runtime.errors import VerificationError
from tests.support.bfloat16_graphs import bfloat16_outside
from tests.support.graph_families import GraphFamilies

IDS = np.asarray([[5, 6, 7], [8, 9, 10]])


def shared_graphs(folder: Path, change: Any) -> SharedGraphs:
    """The shared graphs of a family, each changed in memory."""
    graphs = {}
    for name in (EMBEDDINGS, VISION):
        path = folder / f"{name}.onnx"
        session = open_session(change(path.read_bytes()), data_folder=path.parent, threads=1, spinning=False)
        graphs[name] = SharedGraph(session, name)
    return SharedGraphs(embeddings=graphs[EMBEDDINGS], vision=graphs[VISION])


def images() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(3)
    return {
        "input_ids": IDS,
        "images": generator.standard_normal((2, 1, 36, 48)).astype(np.float32),
        "image_masks": np.ones((2, 1, 36), np.float32),
        "image_input_idx": np.tile([0, 1, 2, *[-100] * 6], (2, 1, 1)),
    }


@pytest.mark.parametrize("inputs", [{"input_ids": IDS}, images()], ids=["text", "images"])
def test_bfloat16_graphs_take_and_give_what_the_upcast_graphs_do(
    inputs: dict[str, Any], graph_families: GraphFamilies
) -> None:
    """bfloat16 is no float16, although its name holds that of the other."""
    folder = graph_families.exported("molmoe", removed=(1,), n_layers=3, precision="bfloat16").path(EMBEDDINGS).parent
    found, expected = (
        graphs.embed(IDS, graphs.features(inputs))
        for graphs in (shared_graphs(folder, bfloat16_outside), shared_graphs(folder, upcast_to_float32))
    )
    assert found.dtype == np.float32 and found.shape == expected.shape == (2, 3, expected.shape[-1])
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-2 * np.abs(expected).max())


def test_without_an_embeddings_graph_the_decoder_takes_ids() -> None:
    graphs = SharedGraphs(embeddings=None, vision=None)
    assert graphs.features({"input_ids": IDS}) == {}
    np.testing.assert_array_equal(graphs.embed(IDS, {}), IDS)


def test_what_a_graph_does_not_take_is_named(graph_families: GraphFamilies) -> None:
    path = graph_families.exported("molmoe", removed=(1,), n_layers=3).path(VISION)
    graph = SharedGraph(open_session(path, threads=1, spinning=False), VISION)
    with pytest.raises(VerificationError, match=r"vision\.onnx takes images, image_masks; there are images"):
        graph.run({"images": images()["images"]})
