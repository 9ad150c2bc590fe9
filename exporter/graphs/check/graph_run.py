"""Runs the graphs of a family on the golden prompts: prompts into embeddings, prefill, decoding of what follows, and
what goes on inside."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
from runtime.engines.onnx.self_test import last_rows
from runtime.engines.onnx.session import open_session
from runtime.engines.onnx.shared_graphs import SharedGraph, SharedGraphs

LAYER_VALUES = 32
Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompts:
    """The golden prompts as a decoder takes them: `values` ids [rows, n] or embeddings [rows, n, hidden], padded on the
    right; `features` of the images, [rows, image tokens, hidden], where there are any. `following` [rows, tokens] are
    ids fed behind each prompt, whatever a graph would have chosen: the same for all graphs."""

    inputs: Mapping[str, Array]
    following: Array
    features: Array | None
    values: Array
    embed: Callable[[Array], Array] | None

    @property
    def lengths(self) -> Array:
        """Real tokens of each row."""
        lengths: Array = self.inputs[ATTENTION_MASK].sum(1)
        return lengths

    def followed(self) -> Array:
        """The tokens that follow as a decoder takes them: [rows, tokens, …]."""
        if self.embed is None:
            return self.following
        return self.embed(self.following) if self.following.size else self.values[:, :0]

    def continued(self) -> Array:
        """Each prompt with what follows it, padded on the right: [rows, n + tokens, …]."""
        added = self.followed()
        whole = np.concatenate([self.values, np.zeros_like(added)], 1)
        for row, length in enumerate(self.lengths):
            whole[row, length : length + added.shape[1]] = added[row]
        return whole

    def shortened(self, tokens: int) -> "Prompts":
        """The prompts with no more than so many tokens behind them."""
        return replace(self, following=self.following[:, :tokens])


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a decoder answers to the prompts, `logits` [rows, n, vocabulary], and to each token that follows them, fed
    one by one, `decoded` [rows, tokens, vocabulary]."""

    logits: Array
    decoded: Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Inside:
    """What goes on inside a decoder that is fed prompts and tokens at once: `hidden` [layers, rows, m], the first
    values of each layer's hidden state at the prompts' last tokens, and router `scores[i]` [rows, n + tokens, experts],
    None in a dense layer."""

    hidden: Array
    scores: tuple[Array | None, ...]


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
    inputs: Mapping[str, Array],
    following: Array,
    precision: Precision,
    *,
    embeddings: Path | None,
    vision: Path | None,
    threads: int,
) -> Prompts:
    """The prompts, by way of the shared graphs where there are any."""
    if embeddings is None:
        return Prompts(inputs=inputs, following=following, features=None, values=inputs[INPUT_IDS], embed=None)
    shared = SharedGraphs(
        embeddings=SharedGraph(open_graph(embeddings, precision, threads=threads), EMBEDDINGS),
        vision=None if vision is None else SharedGraph(open_graph(vision, precision, threads=threads), VISION),
    )
    features = shared.features(inputs)
    values = shared.embed(inputs[INPUT_IDS], features)
    found = features.get(IMAGE_FEATURES)
    return Prompts(inputs=inputs, following=following, features=found, values=values, embed=shared.embed)


def run_decoder(decoder: OnnxDecoder, prompts: Prompts) -> Answer:
    """Prefill all rows at once, and feed what follows token by token."""
    (rows, width), followed = prompts.values.shape[:2], prompts.followed()
    cache = decoder.start(batch=rows, capacity=width + followed.shape[1])
    logits = cache.run(prompts.values, counts=prompts.lengths)[LOGITS]
    steps = (followed[:, step : step + 1] for step in range(followed.shape[1]))
    decoded = [cache.run(step)[LOGITS] for step in steps]
    return Answer(logits=logits, decoded=np.concatenate([logits[:, :0], *decoded], 1))


def look_inside(open_decoder: Callable[..., Any], prompts: Prompts, *, sparse: tuple[bool, ...]) -> Inside:
    """Run a copy of the graph whose hidden states and router scores are outputs too. `open_decoder` is `open_graph`
    with everything but its `outputs`."""
    layers, values = range(len(sparse)), prompts.continued()
    names = [hidden_name(layer) for layer in layers] + [scores_name(layer) for layer in layers if sparse[layer]]
    rows, length = values.shape[:2]
    cache = OnnxDecoder(open_decoder(outputs=names)).start(batch=rows, capacity=length)
    outputs = cache.run(values, counts=prompts.lengths + prompts.following.shape[1], first_logits=-1)
    hidden = [last_rows(outputs[hidden_name(layer)], prompts.lengths)[:, :LAYER_VALUES] for layer in layers]
    scores = (outputs[scores_name(layer)] if sparse[layer] else None for layer in layers)
    split = tuple(None if layer is None else layer.reshape(rows, length, -1) for layer in scores)
    return Inside(hidden=np.stack(hidden), scores=split)
