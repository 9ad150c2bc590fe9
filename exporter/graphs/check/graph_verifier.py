"""Verifies the graphs of a family in one type: what they are, and what they answer, compared with transformers and with
golden outputs. An export and `trimoe verify` both use it."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import onnxruntime
import torch
from msgspec.structs import replace

from exporter.graphs.check.compare import compare_answers
from exporter.graphs.check.expected_graphs import ExpectedGraph, ExpectedGraphs
from exporter.graphs.check.graph_run import Answer, Prompts, greedy_tokens, open_graph, read_prompts, run_decoder
from exporter.graphs.check.inspect import check_decoder, check_model, metadata
from exporter.graphs.check.reference import Tensors
from exporter.graphs.check.same_graph import check_same_graph
from runtime.documents.check import PASSED, SKIPPED, Check
from runtime.documents.family_layout import EMBEDDINGS, GRAPH_INPUTS, VISION, graph_golden_path
from runtime.documents.graph_contract import ATTENTION_MASK, FAMILY_DIGEST, INPUT_IDS, PACKED, check_metadata
from runtime.documents.tolerances import GRAPH_EMBEDDINGS
from runtime.engines.onnx.decoder import OnnxDecoder
from runtime.engines.onnx.self_test import LACKING, self_test
from runtime.engines.onnx.session import CPU, naming, open_session
from runtime.errors import VerificationError

Array = npt.NDArray[Any]


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
        """Check the graphs in front of the decoders, where there are any."""
        for graph in self._expected.shared().values():
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

    def ask(self, inputs: Tensors, *, variant: str) -> Prompts:
        """Turn the golden `inputs` into what the decoders take, by way of the shared graphs, and compare that with what
        transformers makes of them for a variant: the same for all."""
        expected, arrays = self._expected, {name: tensor.numpy() for name, tensor in inputs.items()}
        shared = {name: graph.path for name, graph in expected.shared().items()}
        with naming(str(expected.folder / graph_golden_path(expected.precision.name, GRAPH_INPUTS))):
            prompts = read_prompts(
                arrays,
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

    def run(self, variant: str, *, served: bool = False) -> Answer:
        """What the variant's decoder answers to the prompts, and what goes on inside it: as its weights have it, or as
        it is `served`, where quantised types round activations to 8 bits."""
        assert self.prompts is not None, "ask first"
        decoder, precision = self._expected.decoder(variant), self._expected.precision
        with naming(str(decoder.graph.path)):
            return run_decoder(
                partial(open_graph, decoder.graph.path, precision, threads=self._threads, served=served),
                self.prompts,
                tokens=greedy_tokens(precision),
                sparse=tuple(k is not None for k in decoder.top_k),
                positions=decoder.positions,
            )

    def compare_with_reference(self, variant: str, answer: Answer) -> tuple[Check, ...]:
        """Compare the decoder's answer with what transformers computes: logits, greedy tokens and experts."""
        precision, continued = self._expected.precision, _continue(self._inputs, answer.greedy)
        expected = self._expected.answer(variant, continued)
        rows, length = continued[INPUT_IDS].shape
        experts = [None if ids is None else ids.reshape(rows, length, -1).numpy() for ids in expected.experts]
        lengths = self._inputs[ATTENTION_MASK].sum(1).numpy()
        checks = compare_answers(variant, precision.name, answer, expected.logits.numpy(), experts, lengths)
        if not precision.half:
            return checks
        how = (
            f"by the same graph widened to float32 on the CPU; {precision.dtype} itself runs where a provider has "
            "it, and is self-tested there"
        )
        logits, *others = checks
        return (replace(logits, detail=f"{logits.detail}; {how}"), *others)

    def self_test(self, variant: str) -> Check:
        """The self-test on the CPU, which needs the golden files: skipped where the CPU has no kernels for the type."""
        expected, precision = self._expected, self._expected.precision
        name, found = f"{self._kind} self-test", f"onnxruntime {onnxruntime.__version__}, {CPU}"
        if precision.dtype in LACKING[CPU]:
            lacking = f"{found}, has no {precision.dtype} kernels; the golden outputs are of the same graph widened to"
            detail = f"{lacking} float32: whoever loads it tests it"
            return Check(name=name, variant=variant, outcome=SKIPPED, detail=detail)
        graph = expected.decoder(variant).graph.path
        golden, inputs = (expected.folder / graph_golden_path(precision.name, file) for file in (variant, GRAPH_INPUTS))
        with naming(str(graph)):
            session = open_session(
                graph,
                threads=self._threads,
                packed=precision.name in PACKED,
                spinning=False,
                fold_constants=not precision.half,
            )
        test = self_test(
            graph,
            golden,
            inputs,
            threads=self._threads,
            decoder=OnnxDecoder(session),
            shared=not self._shared_tested,
        )
        self._shared_tested = True
        repeated = f"golden outputs repeated within {test.difference:.2g} of the largest logit"
        detail = f"{repeated}, allowed {test.limit:.2g} ({found})"
        return Check(name=name, variant=variant, outcome=PASSED, detail=detail)


def _continue(inputs: Mapping[str, torch.Tensor], greedy: Array) -> dict[str, torch.Tensor]:
    """The inputs with each row followed by its greedy tokens, without the last, padded on the right."""
    ids, mask = inputs[INPUT_IDS], inputs[ATTENTION_MASK]
    added = greedy.shape[1] - 1
    longer = torch.cat([ids, ids.new_zeros(len(ids), added)], 1)
    seen = torch.cat([mask, mask.new_zeros(len(mask), added)], 1)
    for row, length in enumerate(mask.sum(1).tolist()):
        longer[row, length : length + added] = torch.from_numpy(greedy[row, :added])
        seen[row, length : length + added] = 1
    return {**inputs, INPUT_IDS: longer, ATTENTION_MASK: seen}
