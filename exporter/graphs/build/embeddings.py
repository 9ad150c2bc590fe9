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
    where in the row each feature is added (negative: nowhere; of several at one position, the last alone). Both may
    have no image token at all. An index beyond the row is an error when the graph runs.
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
    """Each position gets the feature that is its own: number 0, which is nothing, or the last of those that stand
    there, as in the model. Added in float32 and rounded once, as a half-precision sum would be: providers have kernels
    for no other type of it, or not all.
    """
    features = graph.cast(
        graph.input(IMAGE_FEATURES, graph.dtype, [BATCH, "image_tokens", hidden]),
        ir.DataType.FLOAT,
        name="image/features",
    )
    places = graph.input(IMAGE_INPUT_IDX, ir.DataType.INT64, [BATCH, "crops", "tokens"])
    in_front = graph.constant("one_in_front", [0, 1, 0, 0, 0, 0])
    numbered = graph.one("Pad", features, in_front, name="image/numbered", mode="constant")
    own = _own_features(graph, embeds, places)
    added = graph.one("GatherND", numbered, own, name="image/own", batch_dims=1)
    words = graph.cast(embeds, ir.DataType.FLOAT, name="image/words")
    return graph.cast(graph.one("Add", words, added, name="image/embeds"), graph.dtype, name="image/rounded")


def _own_features(graph: GraphBuilder, embeds: ir.Value, places: ir.Value) -> ir.Value:
    """The number of each position's feature, from 1, 0 for none: [batch, sequence, 1]. A spare position in front of
    each row takes the features that stand nowhere."""
    zero, one, axis = graph.constant("zero", 0), graph.constant("one", 1), graph.constant("axis_1", [1])
    flat = graph.one("Reshape", places, graph.constant("by_row", [0, -1]), name="image/places")
    shifted = graph.one("Add", flat, one, name="image/shifted")
    column = graph.one("Max", shifted, zero, name="image/column")
    count = graph.one("Squeeze", graph.one("Shape", column, name="image/count", start=1, end=2), name="image/last")
    numbers = graph.one("Range", one, graph.one("Add", count, one, name="image/end"), one, name="image/numbers")
    each = graph.one("Expand", numbers, graph.one("Shape", column, name="image/shape"), name="image/each")
    rows = graph.one("Shape", embeds, name="image/rows", start=0, end=2)
    room = graph.one("Add", rows, graph.constant("spare", [0, 1]), name="image/room")
    none = graph.one("Expand", zero, room, name="image/none")
    own = graph.one("ScatterElements", none, column, each, name="image/owned", axis=1, reduction="max")
    ends = (graph.constant("one_1d", [1]), graph.constant("to_the_end", [2**62]), axis)
    return graph.one(
        "Unsqueeze",
        graph.one("Slice", own, *ends, name="image/without_spare"),
        graph.constant("axis_2", [2]),
        name="image/index",
    )
