"""Verifies the graphs of a family in one type: what they are, and what they answer, compared with transformers and with
golden outputs. An export and `trimoe verify` both use it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import onnxruntime
import torch

from exporter.graphs.check.compare import compare_answers, compare_served
from exporter.graphs.check.expected_graphs import ExpectedGraph, ExpectedGraphs
from exporter.graphs.check.graph_run import (
    Answer,
    Inside,
    Prompts,
    look_inside,
    open_graph,
    read_prompts,
    run_decoder,
)
from exporter.graphs.check.inspect import check_decoder, check_model, metadata
from exporter.graphs.check.reference import Expected, Tensors
from exporter.graphs.check.same_graph import check_same_graph
from exporter.graphs.weights.precision import Precision
from runtime.documents.check import PASSED, SKIPPED, Check
from runtime.documents.family_layout import EMBEDDINGS, GRAPH_INPUTS, VISION, graph_golden_path
from runtime.documents.graph_contract import ATTENTION_MASK, CPU, FAMILY_DIGEST, INPUT_IDS, PACKED, check_metadata
from runtime.documents.tolerances import GRAPH_EMBEDDINGS
from runtime.engines.onnx.decoder import OnnxDecoder
from runtime.engines.onnx.self_test import LACKING, STEPS, self_test
from runtime.engines.onnx.session import naming, open_session
from runtime.errors import VerificationError

DEEP_STEPS, PACKED_STEPS = 128, 32
Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """Prompts with the tokens behind them, and what transformers computes of both for one variant."""

    prompts: Prompts
    expected: Expected


class GraphVerifier:
    """Checks the graphs in one type, variant by variant; every method raises VerificationError naming what differs.

    The structure of a graph needs nothing but the files. To run any, `ask` golden inputs first; half precisions run on
    the CPU widened to float32.
    """

    def __init__(self, expected: ExpectedGraphs, *, threads: int) -> None:
        """The graphs that are `expected`; they run in `threads` threads."""
        self._expected, self._threads = expected, threads
        self._kind = f"onnx {expected.precision.name}"
        self._inputs: Tensors = {}
        self.prompts: Prompts | None = None
        self._shared_tested = False

    def check_shared(self) -> None:
        """Check the graphs in front of the decoders, where there are any, and those of blocks."""
        for graph in (*self._expected.shared().values(), *self._expected.blocks().values()):
            self._check_graph(graph, check_model(graph.path))

    def structure(self, variant: str) -> Check:
        """Check the variant's decoder without running it: a valid model on data that is there, fused nodes with the
        planned k, metadata, and equal to the planned one node by node."""
        decoder = self._expected.decoder(variant)
        model = check_model(decoder.graph.path)
        detail = check_decoder(decoder.graph.path, model, top_k=decoder.top_k)
        self._check_graph(decoder.graph, model)
        noted = "; ".join(part for part in (detail, decoder.graph.note) if part)
        return Check(name=f"{self._kind} structure", variant=variant, outcome=PASSED, detail=noted)

    def _check_graph(self, graph: ExpectedGraph, model: Any) -> None:
        found = {FAMILY_DIGEST: "", **metadata(model)}  # programs that see only the graph must know which it is
        check_metadata(graph.path, found, graph.metadata, source=self._expected.origin)
        if graph.model is not None:
            check_same_graph(graph.path, model, ir.to_proto(graph.model))

    def ask(self, inputs: Tensors, following: Array, *, variant: str) -> Prompts:
        """Turn the golden `inputs` into what the decoders take, by way of the shared graphs, and compare that with what
        transformers makes of them for a variant: the same for all. Ids `following` [rows, tokens] are fed behind
        them."""
        expected, arrays = self._expected, {name: tensor.numpy() for name, tensor in inputs.items()}
        shared = {name: graph.path for name, graph in expected.shared().items()}
        room = expected.decoder(variant).positions - inputs[INPUT_IDS].shape[1]
        with naming(str(expected.folder / graph_golden_path(expected.precision.name, GRAPH_INPUTS))):
            prompts = read_prompts(
                arrays,
                following[:, : max(1, room)],
                expected.precision,
                embeddings=shared.get(EMBEDDINGS),
                vision=shared.get(VISION),
                threads=self._threads,
            )
        if prompts.embed is not None:
            self._compare_embeddings(prompts, expected.embeddings(variant, inputs).numpy())
        self._inputs, self.prompts = inputs, prompts
        return prompts

    def _compare_embeddings(self, prompts: Prompts, wanted: Array) -> None:
        limit = GRAPH_EMBEDDINGS * float(np.abs(wanted).max())
        for row, length in enumerate(prompts.lengths):
            difference = float(np.abs(prompts.values[row, :length] - wanted[row, :length]).max())
            if not difference <= limit:  # also for NaN
                raise VerificationError(
                    f"{self._expected.precision.name}: embeddings of row {row}, images included: max |Δ| "
                    f"{difference:.3g}, allowed {limit:.3g}"
                )

    def expectations(
        self, variants: Sequence[str], *, deep: str, progress: Callable[[float], None]
    ) -> Iterator[tuple[str, "Question"]]:
        """What transformers answers for each of the variants: to the prompts and many tokens behind them for the one
        called `deep`; for others to as many as a self-test decodes, of quantised types to the prompts alone. `progress`
        is told which share of the work of transformers is done, 1 in all."""
        assert self.prompts is not None, "ask first"
        precision = self._expected.precision
        short = self.prompts.shortened(0 if precision.name in PACKED else STEPS)
        whole = self.prompts.shortened(_deep_steps(precision))
        continued = {id(one): _continue(self._inputs, one.following) for one in (whole, short)}
        asked = {variant: whole if variant == deep else short for variant in variants}
        inputs = {variant: continued[id(prompts)] for variant, prompts in asked.items()}
        for variant, expected in self._expected.answers(inputs, progress):
            yield variant, Question(prompts=asked[variant], expected=expected)

    def answers(
        self,
        variant: str,
        question: "Question",
        *,
        keep: Callable[[Prompts, Answer, Inside], None] | None = None,
    ) -> tuple[Check, ...]:
        """Compare the decoder's answers with what transformers computes, and repeat its golden outputs: those that
        `keep`, where there is one, has just made of its answer.

        Quantised types are compared as their weights have it, without rounding of activations; what they answer as they
        are served is compared with that, and is what golden outputs hold.
        """
        assert self.prompts is not None, "ask first"
        precision, decoder, prompts = self._expected.precision, self._expected.decoder(variant), question.prompts
        graph = decoder.graph.path
        opened = partial(open_graph, graph, precision, threads=self._threads)
        with naming(str(graph)):
            # One session at a time: each maps all weights.
            inside = look_inside(opened, prompts, sparse=tuple(k is not None for k in decoder.top_k))
            session = OnnxDecoder(opened())
            answer = run_decoder(session, prompts)
        checks = self._compare(variant, answer, inside, question)
        if precision.name in PACKED:
            with naming(str(graph)):
                session, exact = OnnxDecoder(opened(served=True)), answer
                answer = run_decoder(session, self.prompts.shortened(STEPS))
            checks = (*checks, compare_served(variant, precision.name, exact, answer, prompts.lengths))
        if keep is not None:
            keep(self.prompts, answer, inside)
        return (*checks, self.self_test(variant, None if precision.half else session))

    def _compare(self, variant: str, answer: Answer, inside: Inside, question: "Question") -> tuple[Check, ...]:
        """The checks of logits, tokens and experts that passed."""
        precision, expected = self._expected.precision, question.expected
        rows, length = expected.logits.shape[:2]
        experts = [None if ids is None else ids.reshape(rows, length, -1).numpy() for ids in expected.experts]
        place = f"variant {variant} ({precision.name})"
        found = compare_answers(place, answer, inside, expected.logits.numpy(), experts, question.prompts.lengths)
        if precision.half:
            found["logits"] += (
                f"; by the same graph widened to float32 on the CPU; {precision.dtype} itself runs where a provider "
                "has it, and is self-tested there"
            )
        return tuple(
            Check(name=f"{self._kind} {name}", variant=variant, outcome=PASSED, detail=detail)
            for name, detail in found.items()
        )

    def self_test(self, variant: str, decoder: OnnxDecoder | None = None) -> Check:
        """The self-test on the CPU, which needs the golden files, by a `decoder` open as it is served, where there is
        one: skipped where the CPU has no kernels for the type."""
        expected, precision = self._expected, self._expected.precision
        name, found = f"{self._kind} self-test", f"onnxruntime {onnxruntime.__version__}, {CPU}"
        if precision.dtype in LACKING[CPU]:
            lacking = f"{found}, has no {precision.dtype} kernels; the golden outputs are of the same graph widened to"
            detail = f"{lacking} float32: whoever loads it tests it"
            return Check(name=name, variant=variant, outcome=SKIPPED, detail=detail)
        graph = expected.decoder(variant).graph.path
        golden, inputs = (expected.folder / graph_golden_path(precision.name, file) for file in (variant, GRAPH_INPUTS))
        with naming(str(graph)):
            opened = decoder or OnnxDecoder(
                open_session(
                    graph,
                    threads=self._threads,
                    packed=precision.name in PACKED,
                    spinning=False,
                    fold_constants=not precision.half,
                )
            )
        test = self_test(graph, golden, inputs, threads=self._threads, decoder=opened, shared=not self._shared_tested)
        self._shared_tested = True
        repeated = f"golden outputs repeated within {test.difference:.2g} of the largest logit"
        detail = f"{repeated}, allowed {test.limit:.2g} ({found})"
        return Check(name=name, variant=variant, outcome=PASSED, detail=detail)


def _deep_steps(precision: Precision) -> int:
    """How many tokens of the deepest variant are decoded one by one: fewer where each step costs more, because it
    upcasts all weights once more, or makes them of codes."""
    return STEPS if precision.half else PACKED_STEPS if precision.name in PACKED else DEEP_STEPS


def _continue(inputs: Mapping[str, torch.Tensor], following: Array) -> dict[str, torch.Tensor]:
    """The inputs with each row followed by its ids [rows, tokens], padded on the right."""
    ids, mask = inputs[INPUT_IDS], inputs[ATTENTION_MASK]
    added = following.shape[1]
    longer = torch.cat([ids, ids.new_zeros(len(ids), added)], 1)
    seen = torch.cat([mask, mask.new_zeros(len(mask), added)], 1)
    for row, length in enumerate(mask.sum(1).tolist()):
        longer[row, length : length + added] = torch.from_numpy(following[row])
        seen[row, length : length + added] = 1
    return {**inputs, INPUT_IDS: longer, ATTENTION_MASK: seen}
