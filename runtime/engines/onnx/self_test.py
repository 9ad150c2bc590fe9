"""Runs a decoder and the graphs before it on golden inputs, where they will serve: kernels are known to be wrong in
silence."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from runtime.documents.golden_outputs import ARRAYS, GraphGolden, read_arrays, read_graph_golden
from runtime.documents.graph_contract import FAMILY_DIGEST, PRECISION, VARIANT, check_metadata
from runtime.documents.tolerances import GRAPH_GOLDEN_ELSEWHERE
from runtime.engines.onnx.added_outputs import hidden_name, with_outputs
from runtime.engines.onnx.decoder import Cache, OnnxDecoder
from runtime.engines.onnx.session import CPU, CUDA, naming, open_session
from runtime.engines.onnx.shared_graphs import find_shared_difference
from runtime.errors import VerificationError

STEPS = 8
PART = 3  # tokens of each prefill, where one follows the other
LACKING = {CPU: ("bfloat16",), CUDA: ()}  # types that a provider has no kernels for
Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class SelfTest:
    """A test that passed: the largest difference of the logits and the limit, both relative to the largest |logit|."""

    variant: str
    difference: float
    limit: float


def self_test(
    graph: Path,
    golden: Path,
    inputs: Path,
    *,
    provider: str = CPU,
    threads: int | None = None,
    decoder: OnnxDecoder | None = None,
    shared: bool = True,
) -> SelfTest:
    """Run the decoder at `graph` on the prompts of `inputs` and compare with the file `golden`: a prefill of all rows,
    decoding, and a second prefill over a first.

    Before that, where prompts are images or embeddings, the vision and embeddings graphs beside the decoder (`shared`
    False: another variant's test has run them on this provider). `decoder` is a session already open on that graph,
    where there is one. First of all, the graph's metadata must name the variant, type and family (where both know it)
    of the golden outputs. Raises VerificationError naming the variant, the graph and row or the first layer that
    differs, and the runtime's version and provider; or the graph and what the runtime says of it.
    """
    expected, prompts = read_graph_golden(golden), _read_prompts(inputs)
    limit = _limit(expected, provider)
    with naming(str(graph)):
        opened = decoder or OnnxDecoder(open_session(graph, provider=provider, threads=threads))
    if opened.provider != provider:
        raise VerificationError(
            f"variant {expected.variant}: asked to test {provider}, but the session runs on {opened.provider}"
        )
    _check_graph(graph, opened, expected, golden)
    with naming(f"{graph}: self-test"):
        if shared:
            different = find_shared_difference(
                graph.parent, inputs, prompts.tensors, expected, provider=provider, threads=threads, limit=limit
            )
            if different is not None:
                raise _failure(expected, provider, different)
        scale = _scale(expected, provider)
        cache = opened.start(batch=len(prompts.lengths), capacity=prompts.values.shape[1] + STEPS)
        difference = _prefill(cache, opened, expected, prompts, provider) / scale
        if not difference <= limit:  # also for NaN
            place = _first_layer(graph, expected, prompts, provider, threads, limit)
            raise _failure(
                expected,
                provider,
                f"{place}; max |Δ| of the logits is {difference:.3g} of the largest, allowed {limit:.3g}",
            )
        _decode(cache, opened, expected, provider, limit * scale)
        _prefill_again(opened, expected, prompts, provider, limit * scale)
    return SelfTest(variant=expected.variant, difference=difference, limit=limit)


def _check_graph(graph: Path, decoder: OnnxDecoder, expected: GraphGolden, golden: Path) -> None:
    """That the session is on the very graph the golden outputs are of: another variant's may be within every limit of a
    half precision."""
    wanted = {VARIANT: expected.variant, PRECISION: expected.precision, FAMILY_DIGEST: expected.family_digest}
    check_metadata(graph, decoder.session.get_modelmeta().custom_metadata_map, wanted, source=str(golden))
    if decoder.layers != len(expected.layers):
        raise VerificationError(f"{graph}: {decoder.layers} layers, {golden} has outputs of {len(expected.layers)}")


def _limit(expected: GraphGolden, provider: str) -> float:
    """The largest difference allowed, relative to the largest |logit|. Raises VerificationError where the provider
    cannot run the type."""
    if expected.precision in LACKING.get(provider, ()):
        raise _failure(expected, provider, f"{provider} has no {expected.precision} kernels; another provider may")
    if expected.precision not in GRAPH_GOLDEN_ELSEWHERE:
        known = ", ".join(GRAPH_GOLDEN_ELSEWHERE)
        raise _failure(expected, provider, f"the type {expected.precision!r} is unknown; there are {known}")
    return expected.tolerance if provider == expected.provider else GRAPH_GOLDEN_ELSEWHERE[expected.precision]


def _scale(expected: GraphGolden, provider: str) -> float:
    """The largest |logit|."""
    scale = _largest(expected.logits)
    if not 0 < scale < np.inf:
        raise _failure(
            expected, provider, f"the largest golden logit is {scale:.3g}, so that nothing can be compared with it"
        )
    return scale


@dataclass(frozen=True, kw_only=True, slots=True)
class _Prompts:
    values: Array  # ids [rows, n] or embeddings [rows, n, hidden], padded on the right
    lengths: Array  # real tokens of each row
    tensors: Mapping[str, Array]  # all that the file holds


def _read_prompts(path: Path) -> _Prompts:
    tensors, _ = read_arrays(path)
    if "attention_mask" not in tensors or "input_ids" not in tensors:
        raise VerificationError(f"{path}: input_ids or attention_mask is missing")
    values = tensors.get("inputs_embeds", tensors["input_ids"])
    return _Prompts(values=values, lengths=tensors["attention_mask"].sum(1), tensors=tensors)


def _prefill(cache: Cache, decoder: OnnxDecoder, expected: GraphGolden, prompts: _Prompts, provider: str) -> float:
    """The largest difference of the logits after all rows at once."""
    logits = cache.run(prompts.values.astype(decoder.input_dtype), counts=prompts.lengths)["logits"].astype(np.float32)
    if not _fits(expected, *logits.shape):
        shapes = ", ".join(f"{name} {list(getattr(expected, name).shape)}" for name in ARRAYS)
        raise _failure(
            expected,
            provider,
            f"the golden outputs do not fit the graph's logits of shape {list(logits.shape)}: {shapes}",
        )
    return _largest(logits[np.arange(len(logits))[:, None], expected.positions] - expected.logits)


def _fits(expected: GraphGolden, rows: int, length: int, vocabulary: int) -> bool:
    """Whether the golden arrays have the shapes, positions and ids that logits [rows, length, vocabulary] can be
    compared with."""
    shapes = (
        expected.logits.shape == (*expected.positions.shape, vocabulary)
        and expected.positions.ndim == expected.greedy.ndim == 2
    )
    counts = {len(expected.positions), len(expected.greedy), len(expected.continuation), expected.layers.shape[1]} == {
        rows
    }
    inside = expected.positions.min() >= 0 and expected.positions.max() < length
    return bool(shapes and counts and inside and expected.greedy.min() >= 0 and expected.greedy.max() < vocabulary)


def _decode(cache: Cache, decoder: OnnxDecoder, expected: GraphGolden, provider: str, limit: float) -> None:
    """Feed the golden continuation; each next token must be the golden one, or as good as it within the tolerance."""
    for step in range(min(STEPS, expected.continuation.shape[1], expected.greedy.shape[1] - 1)):
        values = expected.continuation[:, step : step + 1].astype(decoder.input_dtype)
        logits = cache.run(values)["logits"][:, -1].astype(np.float32)
        for row, token in enumerate(expected.greedy[:, step + 1]):
            behind = float(logits[row].max() - logits[row, token])
            if not behind <= 2 * limit:
                found = int(logits[row].argmax())
                raise _failure(
                    expected,
                    provider,
                    f"decoding, step {step + 1} of row {row} gives token {found}, golden is {int(token)}",
                )


def _prefill_again(decoder: OnnxDecoder, expected: GraphGolden, prompts: _Prompts, provider: str, limit: float) -> None:
    """Feed the first tokens of a row in two parts and at once: with a past, kernels take several tokens on another
    path.

    One row that agrees is enough: in another, two experts may tie within rounding, and the parts then choose another
    than the whole.
    """
    differences = []
    for row, length in enumerate(prompts.lengths):
        values = prompts.values[row : row + 1, : min(int(length), 2 * PART)].astype(decoder.input_dtype)
        part = values.shape[1] // 2
        caches = [decoder.start(batch=1, capacity=values.shape[1]) for _ in range(2)]
        if part:
            caches[0].run(values[:, :part])
        found = caches[0].run(values[:, part:])["logits"].astype(np.float32)
        differences.append(_largest(found - caches[1].run(values, first_logits=part)["logits"].astype(np.float32)))
        if differences[-1] <= limit:
            return
    what = f"a second prefill over a first: max |Δ| of the logits is {min(differences):.3g}, allowed {limit:.3g}"
    raise _failure(expected, provider, what)


def _first_layer(
    graph: Path, expected: GraphGolden, prompts: _Prompts, provider: str, threads: int | None, limit: float
) -> str:
    """The first layer whose hidden state differs, by a copy of the graph that puts all of them out."""
    layers, _, width = expected.layers.shape
    copy = with_outputs(graph.read_bytes(), [hidden_name(layer) for layer in range(layers)])
    decoder = OnnxDecoder(open_session(copy, provider=provider, threads=threads, data_folder=graph.parent))
    cache = decoder.start(batch=len(prompts.lengths), capacity=prompts.values.shape[1])
    outputs = cache.run(prompts.values.astype(decoder.input_dtype), counts=prompts.lengths)
    differences = []
    for layer in range(layers):
        found = last_rows(outputs[hidden_name(layer)], prompts.lengths)[:, :width]
        differences.append(_largest(found - expected.layers[layer]) / (_largest(expected.layers[layer]) or 1.0))
        if not differences[-1] <= limit:
            return f"layer {layer} is the first that differs, by {differences[-1]:.3g} of its largest value"
    largest = int(np.argmax(differences))
    return (
        f"no layer differs by more than is allowed when its output is read, most does layer {largest}, by "
        f"{differences[largest]:.3g} of its largest "
        "value: either small differences add up, or memory is shared that must not be, or the head is wrong"
    )


def last_rows(hidden: Array, lengths: Array) -> Array:
    """The hidden states [rows, hidden] of the last real token of each row of [rows, n, hidden], in float32."""
    rows: Array = hidden[np.arange(len(lengths)), lengths - 1]
    return rows.astype(np.float32)


def _largest(values: Array) -> float:
    return float(np.abs(values).max())


def _failure(expected: GraphGolden, provider: str, what: str) -> VerificationError:
    found = (
        f"onnxruntime {onnxruntime.__version__}, {provider}; the golden outputs are of {expected.onnxruntime}, "
        f"{expected.provider}"
    )
    return VerificationError(f"variant {expected.variant} ({expected.precision}) fails its self-test: {what} ({found})")
