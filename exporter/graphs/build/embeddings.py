"""The graph in front of a decoder that takes embeddings: looks up tokens and adds image features at their positions."""

from collections.abc import Mapping

import onnx_ir as ir

from exporter.graphs.build.attention import BATCH, SEQUENCE
from exporter.graphs.build.graph_builder import GraphBuilder
from exporter.graphs.weights.stored_tensor import StoredTensor
from runtime.documents.graph_contract import IMAGE_FEATURES, IMAGE_INPUT_IDX, INPUT_IDS, INPUTS_EMBEDS


def build_embeddings(
    hidden: int,
    weights: Mapping[str, StoredTensor],
    *,
    images: bool,
    data_file: str,
    dtype: str,
    metadata: Mapping[str, str],
) -> ir.Model:
    """`input_ids` [batch, sequence] (negative: padding) → `inputs_embeds` [batch, sequence, hidden].

    With `images` also `image_features` [batch, image_tokens, hidden] and `image_input_idx` [batch, crops, tokens]:
    where in the row each feature is added (negative: nowhere). Both may have no image token at all. An index beyond the
    row is an error when the graph runs.
    """
    graph = GraphBuilder(weights, data_file, dtype)
    tokens = graph.input(INPUT_IDS, ir.DataType.INT64, [BATCH, SEQUENCE])
    known = graph.one("Max", tokens, graph.constant("zero", 0), name="input_ids/known")
    embeds = graph.one("Gather", graph.weight("embeddings"), known, name="embeddings")
    if images:
        embeds = _add_features(graph, hidden, embeds)
    graph.output(embeds, INPUTS_EMBEDS, graph.dtype, [BATCH, SEQUENCE, hidden])
    return graph.model("embeddings", metadata)


def _add_features(graph: GraphBuilder, hidden: int, embeds: ir.Value) -> ir.Value:
    """Scatter with a spare position in front of each row, which takes the features that stand nowhere.

    Added in float32 and rounded once, as a half-precision sum would be: providers have kernels for no other type of it,
    or not all.
    """
    features = graph.cast(
        graph.input(IMAGE_FEATURES, graph.dtype, [BATCH, "image_tokens", hidden]),
        ir.DataType.FLOAT,
        name="image/features",
    )
    embeds = graph.cast(embeds, ir.DataType.FLOAT, name="image/words")
    places = graph.input(IMAGE_INPUT_IDX, ir.DataType.INT64, [BATCH, "crops", "tokens"])
    spared = graph.one(
        "Pad", embeds, graph.constant("one_in_front", [0, 1, 0, 0, 0, 0]), name="image/spare", mode="constant"
    )
    flat = graph.one("Reshape", places, graph.constant("by_row", [0, -1]), name="image/places")
    shifted = graph.one("Add", flat, graph.constant("one", 1), name="image/shifted")
    column = graph.one("Max", shifted, graph.constant("zero", 0), name="image/column")
    shape = graph.one("Shape", column, name="image/shape")
    count = graph.one("Gather", shape, graph.constant("zero", 0), name="image/batch")
    rows = graph.one("Range", graph.constant("zero", 0), count, graph.constant("one", 1), name="image/rows")
    standing = graph.one("Unsqueeze", rows, graph.constant("axis_1", [1]), name="image/standing")
    row = graph.one("Expand", standing, shape, name="image/row")
    last = graph.constant("axis_2", [2])
    parts = [
        graph.one("Unsqueeze", part, last, name=f"image/{name}_index")
        for part, name in ((row, "row"), (column, "column"))
    ]
    indices = graph.one("Concat", *parts, name="image/indices", axis=-1)
    added = graph.one("ScatterND", spared, indices, features, name="image/added", reduction="add")
    ends = (graph.constant("one_1d", [1]), graph.constant("to_the_end", [2**62]), graph.constant("axis_1", [1]))
    return graph.cast(graph.one("Slice", added, *ends, name="image/embeds"), graph.dtype, name="image/rounded")
