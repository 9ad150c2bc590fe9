"""Runs a decoder and the graphs before it on golden inputs, where they will serve: kernels are known to be wrong in
silence."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from runtime.documents.golden_outputs import ARRAYS, GraphGolden, read_arrays, read_graph_golden
from runtime.documents.graph_contract import (
    ATTENTION_MASK,
    CPU,
    CUDA,
    FAMILY_DIGEST,
    INPUT_IDS,
    INPUTS_EMBEDS,
    LOGITS,
    PACKED,
    PRECISION,
    PROVIDERS,
    VARIANT,
    check_metadata,
    hidden_name,
)
from runtime.documents.tolerances import GRAPH_GOLDEN_ELSEWHERE
from runtime.engines.onnx.added_outputs import with_outputs
from runtime.engines.onnx.cache import Cache
from runtime.engines.onnx.composing.composed import ComposedDecoder
from runtime.engines.onnx.decoder import OnnxDecoder
from runtime.engines.onnx.session import naming, open_session
from runtime.engines.onnx.shared_self_test import SharedSelfTest
from runtime.engines.protocol import Array
from runtime.errors import VerificationError

STEPS = 8
PART = 3  # tokens of each prefill, where one follows the other
# Types that a provider has no kernels for.
LACKING = {each: tuple(name for name, there in PROVIDERS.items() if each not in there) for each in (CPU, CUDA)}


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
        packed = expected.precision in PACKED
        opened = decoder or OnnxDecoder(open_session(graph, provider=provider, threads=threads, packed=packed))
    if opened.provider != provider:
        raise VerificationError(
            f"variant {expected.variant}: asked to test {provider}, but the session runs on {opened.provider}"
        )
    _check_graph(graph, opened, expected, golden)
    with naming(f"{graph}: self-test"):
        if shared:
            _test_shared(graph.parent, inputs, prompts, expected, provider=provider, threads=threads, limit=limit)
        trial = _Trial(graph=graph, decoder=opened, expected=expected, prompts=prompts, threads=threads, limit=limit)
        difference = trial.run()
    return SelfTest(variant=expected.variant, difference=difference, limit=limit)


def composed_self_test(folder: Path, golden: Path, inputs: Path, *, decoder: ComposedDecoder) -> None:
    """The same for the graphs of blocks in `folder` that answer in the place of the variant's. Raises
    VerificationError."""
    expected, prompts = read_graph_golden(golden), _read_prompts(inputs)
    limit = _limit(expected, decoder.provider)
    with naming(f"{folder}: self-test of the graphs of blocks"):
        _Trial(graph=None, decoder=decoder, expected=expected, prompts=prompts, threads=None, limit=limit).run()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Prompts:
    values: Array  # ids [rows, n] or embeddings [rows, n, hidden], padded on the right
    lengths: Array  # real tokens of each row
    tensors: Mapping[str, Array]  # all that the file holds


def _read_prompts(path: Path) -> _Prompts:
    tensors, _ = read_arrays(path)
    if ATTENTION_MASK not in tensors or INPUT_IDS not in tensors:
        raise VerificationError(f"{path}: {INPUT_IDS} or {ATTENTION_MASK} is missing")
    values = tensors.get(INPUTS_EMBEDS, tensors[INPUT_IDS])
    return _Prompts(values=values, lengths=tensors[ATTENTION_MASK].sum(1), tensors=tensors)


def _limit(expected: GraphGolden, provider: str) -> float:
    """The largest difference allowed, relative to the largest |logit|. Raises VerificationError where the provider
    cannot run the type."""
    if expected.precision in LACKING.get(provider, ()):
        raise _failure(expected, provider, f"{provider} has no {expected.precision} kernels; another provider may")
    if expected.precision not in GRAPH_GOLDEN_ELSEWHERE:
        known = ", ".join(GRAPH_GOLDEN_ELSEWHERE)
        raise _failure(expected, provider, f"the type {expected.precision!r} is unknown; there are {known}")
    return expected.tolerance if provider == expected.provider else GRAPH_GOLDEN_ELSEWHERE[expected.precision]


def _check_graph(graph: Path, decoder: OnnxDecoder, expected: GraphGolden, golden: Path) -> None:
    """That the session is on the very graph the golden outputs are of: another variant's may be within every limit of a
    half precision."""
    wanted = {VARIANT: expected.variant, PRECISION: expected.precision, FAMILY_DIGEST: expected.family_digest}
    check_metadata(graph, decoder.session.get_modelmeta().custom_metadata_map, wanted, source=str(golden))
    if decoder.layers != len(expected.layers):
        raise VerificationError(f"{graph}: {decoder.layers} layers, {golden} has outputs of {len(expected.layers)}")


def _test_shared(
    folder: Path,
    inputs: Path,
    prompts: _Prompts,
    expected: GraphGolden,
    *,
    provider: str,
    threads: int | None,
    limit: float,
) -> None:
    test = SharedSelfTest(
        folder=folder,
        inputs=inputs,
        prompts=prompts.tensors,
        expected=expected,
        provider=provider,
        threads=threads,
        limit=limit,
    )
    different = test.find_difference()
    if different is not None:
        raise _failure(expected, provider, different)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Trial:
    """One decoder on the golden prompts; `limit` is relative to the largest |logit|."""

    graph: Path | None  # None: it is composed of graphs of blocks
    decoder: OnnxDecoder | ComposedDecoder
    expected: GraphGolden
    prompts: _Prompts
    threads: int | None
    limit: float

    def run(self) -> float:
        """The largest difference of the prompts' logits, relative to the largest. Raises VerificationError."""
        scale = self._scale()
        cache = self.decoder.start(batch=len(self.prompts.lengths), capacity=self.prompts.values.shape[1] + STEPS)
        difference = self._prefill(cache) / scale
        if not difference <= self.limit:  # also for NaN
            delta = f"max |Δ| of the logits is {difference:.3g} of the largest, allowed {self.limit:.3g}"
            raise self._failure(f"{self._first_layer()}; {delta}")
        self._decode(cache, self.limit * scale)
        self._prefill_again(self.limit * scale)
        return difference

    def _scale(self) -> float:
        """The largest |logit|."""
        scale = _largest(self.expected.logits)
        if not 0 < scale < np.inf:
            raise self._failure(f"the largest golden logit is {scale:.3g}, so that nothing can be compared with it")
        return scale

    def _prefill(self, cache: Cache) -> float:
        """The largest difference of the logits after all rows at once."""
        expected, logits = self.expected, self._logits(cache, self.prompts.values, counts=self.prompts.lengths)
        if not _fits(expected, *logits.shape):
            shapes = ", ".join(f"{name} {list(getattr(expected, name).shape)}" for name in ARRAYS)
            raise self._failure(
                f"the golden outputs do not fit the graph's logits of shape {list(logits.shape)}: {shapes}"
            )
        return _largest(logits[np.arange(len(logits))[:, None], expected.positions] - expected.logits)

    def _decode(self, cache: Cache, limit: float) -> None:
        """Feed the golden continuation; each next token must be the golden one, or as good as it within `limit`."""
        expected = self.expected
        for step in range(min(STEPS, expected.continuation.shape[1], expected.greedy.shape[1] - 1)):
            logits = self._logits(cache, expected.continuation[:, step : step + 1])[:, -1]
            for row, token in enumerate(expected.greedy[:, step + 1]):
                behind = float(logits[row].max() - logits[row, token])
                if not behind <= 2 * limit:
                    found = int(logits[row].argmax())
                    raise self._failure(
                        f"decoding, step {step + 1} of row {row} gives token {found}, golden is {int(token)}"
                    )

    def _prefill_again(self, limit: float) -> None:
        """Feed the first tokens of a row in two parts and at once: with a past, kernels take several tokens on another
        path.

        One row that agrees is enough: in another, two experts may tie within rounding, and the parts then choose
        another than the whole.
        """
        differences = []
        for row, length in enumerate(self.prompts.lengths):
            values = self.prompts.values[row : row + 1, : min(int(length), 2 * PART)]
            differences.append(self._difference_in_parts(values))
            if differences[-1] <= limit:
                return
        what = f"a second prefill over a first: max |Δ| of the logits is {min(differences):.3g}, allowed {limit:.3g}"
        raise self._failure(what)

    def _difference_in_parts(self, values: Array) -> float:
        """By how much the logits of the second half of one row differ from those of the whole row at once."""
        part = values.shape[1] // 2
        halves, whole = (self.decoder.start(batch=1, capacity=values.shape[1]) for _ in range(2))
        if part:
            self._logits(halves, values[:, :part])
        return _largest(self._logits(halves, values[:, part:]) - self._logits(whole, values, first_logits=part))

    def _logits(self, cache: Cache, values: Array, *, counts: Array | None = None, first_logits: int = 0) -> Array:
        """Feed values in the decoder's own type; the logits in float32."""
        values = values.astype(self.decoder.input_dtype)
        logits: Array = cache.run(values, counts=counts, first_logits=first_logits)[LOGITS].astype(np.float32)
        return logits

    def _first_layer(self) -> str:
        """The first layer whose hidden state differs, by a copy of the graph that puts all of them out."""
        if self.graph is None:
            return "composed of graphs of blocks it answers otherwise"
        differences = self._layer_differences(self.graph)
        for layer, difference in enumerate(differences):
            if not difference <= self.limit:
                return f"layer {layer} is the first that differs, by {difference:.3g} of its largest value"
        largest = int(np.argmax(differences))
        return (
            f"no layer differs by more than is allowed when its output is read, most does layer {largest}, by "
            f"{differences[largest]:.3g} of its largest "
            "value: either small differences add up, or memory is shared that must not be, or the head is wrong"
        )

    def _layer_differences(self, graph: Path) -> list[float]:
        """For each layer, how far its output is from the golden one, relative to the largest golden value."""
        golden, lengths = self.expected.layers, self.prompts.lengths
        names = [hidden_name(layer) for layer in range(len(golden))]
        copy = with_outputs(graph.read_bytes(), names)
        session = open_session(
            copy,
            provider=self.decoder.provider,
            threads=self.threads,
            data_folder=graph.parent,
            packed=self.expected.precision in PACKED,
        )
        decoder = OnnxDecoder(session)
        cache = decoder.start(batch=len(lengths), capacity=self.prompts.values.shape[1])
        outputs = cache.run(self.prompts.values.astype(decoder.input_dtype), counts=lengths)
        found = [last_rows(outputs[name], lengths)[:, : golden.shape[-1]] for name in names]
        return [_largest(one - other) / (_largest(other) or 1.0) for one, other in zip(found, golden, strict=True)]

    def _failure(self, what: str) -> VerificationError:
        return _failure(self.expected, self.decoder.provider, what)


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
