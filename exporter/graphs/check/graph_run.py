"""Runs the graphs of a family on the golden prompts: prompts into embeddings, prefill, greedy continuation, and what
goes on inside."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.graphs.check.upcast import upcast_to_float32
from exporter.graphs.weights.precision import Precision
from runtime.documents.family_layout import EMBEDDINGS, VISION
from runtime.documents.graph_contract import (
    ATTENTION_MASK,
    IMAGE_FEATURES,
    INPUT_IDS,
    LOGITS,
    PACKED,
    hidden_name,
    scores_name,
)
from runtime.engines.onnx.added_outputs import with_outputs
from runtime.engines.onnx.decoder import OnnxDecoder
from runtime.engines.onnx.self_test import STEPS, last_rows
from runtime.engines.onnx.session import open_session
from runtime.engines.onnx.shared_graphs import SharedGraph, SharedGraphs

GREEDY_TOKENS = 128
UPCAST_TOKENS = STEPS + 1  # what a self-test reads: each token upcasts all weights once more
LAYER_VALUES = 32
Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompts:
    """The golden prompts as a decoder takes them: `values` ids [rows, n] or embeddings [rows, n, hidden], padded on the
    right; `features` of the images, [rows, image tokens, hidden], where there are any."""

    inputs: Mapping[str, Array]
    features: Array | None
    values: Array
    embed: Callable[[Array], Array] | None

    @property
    def lengths(self) -> Array:
        """Real tokens of each row."""
        lengths: Array = self.inputs[ATTENTION_MASK].sum(1)
        return lengths


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A decoder's answer: prompt `logits` [rows, n, vocabulary], `greedy` [rows, tokens] and the `decoded` logits
    [rows, tokens, vocabulary] they come from, `continuation` the first of them as inputs, `hidden` [layers, rows, m],
    router `scores[i]` [rows · n, experts] or None;
    `decoded_scores[row]` are the router scores [layers with experts, tokens, experts] of a row's greedy tokens.
    """

    logits: Array
    greedy: Array
    decoded: Array
    continuation: Array
    hidden: Array
    scores: tuple[Array | None, ...]
    decoded_scores: tuple[Array, ...]


def open_graph(
    graph: Path, precision: Precision, *, threads: int, outputs: Sequence[str] = (), served: bool = False
) -> Any:
    """A session on the CPU, with further `outputs`; half-precision graphs run upcast to float32, their weights a few
    at a time. `served` as the runtime opens it: quantised types then round what they multiply, else they do not."""
    packed = served and precision.name in PACKED
    if not precision.half and not outputs:
        return open_session(graph, threads=threads, packed=packed, spinning=False)
    model = graph.read_bytes()
    return open_session(
        with_outputs(upcast_to_float32(model) if precision.half else model, outputs),
        data_folder=graph.parent,
        threads=threads,
        packed=packed,
        spinning=False,
        fold_constants=not precision.half,
    )


def read_prompts(
    inputs: Mapping[str, Array], precision: Precision, *, embeddings: Path | None, vision: Path | None, threads: int
) -> Prompts:
    """The prompts, by way of the shared graphs where there are any."""
    if embeddings is None:
        return Prompts(inputs=inputs, features=None, values=inputs[INPUT_IDS], embed=None)
    shared = SharedGraphs(
        embeddings=SharedGraph(open_graph(embeddings, precision, threads=threads), EMBEDDINGS),
        vision=None if vision is None else SharedGraph(open_graph(vision, precision, threads=threads), VISION),
    )
    features = shared.features(inputs)
    values = shared.embed(inputs[INPUT_IDS], features)
    return Prompts(inputs=inputs, features=features.get(IMAGE_FEATURES), values=values, embed=shared.embed)


def greedy_tokens(precision: Precision) -> int:
    """How many tokens follow each golden prompt."""
    return UPCAST_TOKENS if precision.half else GREEDY_TOKENS


def run_decoder(
    open_decoder: Callable[..., Any], prompts: Prompts, *, tokens: int, sparse: tuple[bool, ...], positions: int
) -> Answer:
    """Prefill all rows at once, continue each row alone, and look inside a copy of the graph; `positions` is how long a
    row may become, `tokens` how long at most. `open_decoder` is `open_graph` with everything but its `outputs`."""
    decoder = OnnxDecoder(open_decoder())
    rows, width = prompts.values.shape[:2]
    logits = decoder.start(batch=rows, capacity=width).run(prompts.values, counts=prompts.lengths)[LOGITS]
    tokens = max(1, min(tokens, positions - width))
    greedy, decoded = [], []
    for row, length in enumerate(prompts.lengths):
        ids, after = decoder.greedy(prompts.values[row : row + 1, :length], tokens, embed=prompts.embed)
        greedy.append(ids)
        decoded.append(after)
    chosen = np.stack(greedy)
    inside = _open_inside(open_decoder, sparse)
    hidden, scores = _look_inside(inside, prompts, sparse)
    after_scores = tuple(_decoded_scores(inside, prompts, row, ids, sparse) for row, ids in enumerate(chosen))
    first = chosen[:, :STEPS]
    continuation = first if prompts.embed is None else np.concatenate([prompts.embed(ids[None]) for ids in first])
    return Answer(
        logits=logits,
        greedy=chosen,
        decoded=np.stack(decoded),
        continuation=continuation,
        hidden=hidden,
        scores=scores,
        decoded_scores=after_scores,
    )


def _open_inside(open_decoder: Callable[..., Any], sparse: tuple[bool, ...]) -> OnnxDecoder:
    """A copy of the graph whose hidden states and router scores are outputs too."""
    layers = range(len(sparse))
    names = [hidden_name(layer) for layer in layers] + [scores_name(layer) for layer in layers if sparse[layer]]
    return OnnxDecoder(open_decoder(outputs=names))


def _decoded_scores(decoder: OnnxDecoder, prompts: Prompts, row: int, ids: Array, sparse: tuple[bool, ...]) -> Array:
    """The router scores [layers with experts, tokens, experts] at the positions that the greedy tokens `ids` [tokens]
    were chosen at."""
    length = int(prompts.lengths[row])
    after = ids[None, :-1] if prompts.embed is None else prompts.embed(ids[None, :-1])
    values = np.concatenate([prompts.values[row : row + 1, :length], after], 1)
    outputs = decoder.start(batch=1, capacity=values.shape[1]).run(values, counts=np.array([values.shape[1]]))
    scores = [outputs[scores_name(layer)][length - 1 :] for layer, with_experts in enumerate(sparse) if with_experts]
    return np.stack(scores) if scores else np.zeros((0, len(ids), 1), np.float32)


def _look_inside(
    decoder: OnnxDecoder, prompts: Prompts, sparse: tuple[bool, ...]
) -> tuple[Array, tuple[Array | None, ...]]:
    layers = range(len(sparse))
    rows, width = prompts.values.shape[:2]
    outputs = decoder.start(batch=rows, capacity=width).run(prompts.values, counts=prompts.lengths)
    hidden = np.stack([last_rows(outputs[hidden_name(layer)], prompts.lengths)[:, :LAYER_VALUES] for layer in layers])
    return hidden, tuple(outputs[scores_name(layer)] if sparse[layer] else None for layer in layers)
