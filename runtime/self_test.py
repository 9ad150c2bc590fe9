"""Runs a decoder on its golden inputs, on the machine and provider that will serve: kernels are known to be wrong in silence."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from runtime.errors import VerificationError
from runtime.graph_outputs import hidden_name, with_outputs
from runtime.onnx_decoder import Cache, OnnxDecoder
from runtime.onnx_golden import GraphGolden, read_arrays, read_graph_golden
from runtime.onnx_session import CPU, open_session

STEPS = 8
OTHER_PROVIDER_TOLERANCE = 3e-2  # reduced-precision products are the default elsewhere
Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class SelfTest:
    """A test that passed: the largest difference of the logits and the limit, both relative to the largest |logit|."""

    variant: str
    difference: float
    limit: float


def self_test(
    graph: Path, golden: Path, inputs: Path, *, provider: str = CPU, threads: int | None = None, decoder: OnnxDecoder | None = None
) -> SelfTest:
    """Run the decoder at `graph` on the prompts of `inputs` and compare with the file `golden`: a prefill of all rows, then decoding.

    `decoder` is a session already open on that graph, where there is one. Raises VerificationError naming the variant, the first layer that
    differs, and the runtime's version and provider.
    """
    expected, prompts = read_graph_golden(golden), _read_prompts(inputs)
    opened = decoder or OnnxDecoder(open_session(graph, provider=provider, threads=threads))
    scale = float(np.abs(expected.logits).max())
    limit = expected.tolerance if provider == expected.provider else OTHER_PROVIDER_TOLERANCE
    cache = opened.start(batch=len(prompts.lengths), capacity=prompts.values.shape[1] + STEPS)
    logits = cache.run(prompts.values.astype(opened.input_dtype), counts=prompts.lengths)["logits"].astype(np.float32)
    found = logits[np.arange(len(logits))[:, None], expected.positions]
    difference = _largest(found - expected.logits) / scale
    if not difference <= limit:  # also for NaN
        place = _first_layer(graph, expected, prompts, provider, threads, limit)
        raise _failure(expected, provider, f"{place}; max |Δ| of the logits is {difference:.3g} of the largest, allowed {limit:.3g}")
    _decode(cache, opened, expected, provider, limit * scale)
    return SelfTest(variant=expected.variant, difference=difference, limit=limit)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Prompts:
    values: Array  # ids [rows, n] or embeddings [rows, n, hidden], padded on the right
    lengths: Array  # real tokens of each row


def _read_prompts(path: Path) -> _Prompts:
    tensors, _ = read_arrays(path)
    if "attention_mask" not in tensors or "input_ids" not in tensors:
        raise VerificationError(f"{path}: input_ids or attention_mask is missing")
    return _Prompts(values=tensors.get("inputs_embeds", tensors["input_ids"]), lengths=tensors["attention_mask"].sum(1))


def _decode(cache: Cache, decoder: OnnxDecoder, expected: GraphGolden, provider: str, limit: float) -> None:
    """Feed the golden continuation; each next token must be the golden one, or as good as it within the tolerance."""
    for step in range(min(STEPS, expected.continuation.shape[1], expected.greedy.shape[1] - 1)):
        values = expected.continuation[:, step : step + 1].astype(decoder.input_dtype)
        logits = cache.run(values)["logits"][:, -1].astype(np.float32)
        for row, token in enumerate(expected.greedy[:, step + 1]):
            behind = float(logits[row].max() - logits[row, token])
            if not behind <= 2 * limit:
                found = int(logits[row].argmax())
                raise _failure(expected, provider, f"decoding, step {step + 1} of row {row} gives token {found}, golden is {int(token)}")


def _first_layer(graph: Path, expected: GraphGolden, prompts: _Prompts, provider: str, threads: int | None, limit: float) -> str:
    """The first layer whose hidden state differs, by a copy of the graph that puts all of them out."""
    layers, _, width = expected.layers.shape
    copy = with_outputs(graph.read_bytes(), [hidden_name(layer) for layer in range(layers)])
    decoder = OnnxDecoder(open_session(copy, provider=provider, threads=threads, data_folder=graph.parent))
    cache = decoder.start(batch=len(prompts.lengths), capacity=prompts.values.shape[1])
    outputs = cache.run(prompts.values.astype(decoder.input_dtype), counts=prompts.lengths)
    for layer in range(layers):
        found = last_rows(outputs[hidden_name(layer)], prompts.lengths)[:, :width]
        difference = _largest(found - expected.layers[layer]) / float(np.abs(expected.layers[layer]).max())
        if not difference <= limit:
            return f"layer {layer} is the first that differs, by {difference:.3g} of its largest value"
    return "no layer differs when its output is read, so memory is shared that must not be, or the head is wrong"


def last_rows(hidden: Array, lengths: Array) -> Array:
    """The hidden states [rows, hidden] of the last real token of each row of [rows, n, hidden], in float32."""
    rows: Array = hidden[np.arange(len(lengths)), lengths - 1]
    return rows.astype(np.float32)


def _largest(values: Array) -> float:
    return float(np.abs(values).max())


def _failure(expected: GraphGolden, provider: str, what: str) -> VerificationError:
    found = f"onnxruntime {onnxruntime.__version__}, {provider}; the golden outputs are of {expected.onnxruntime}, {expected.provider}"
    return VerificationError(f"variant {expected.variant} ({expected.precision}) fails its self-test: {what} ({found})")
