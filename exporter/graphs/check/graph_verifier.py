"""Verifies the graphs of a family: structure, weights, and what each answers, against transformers. Writes their golden
outputs."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import onnxruntime
import safetensors.numpy
import torch

from exporter.graphs.check.compare import compare_answers
from exporter.graphs.check.golden_outputs import graph_golden
from exporter.graphs.check.graph_run import Answer, read_prompts, run_decoder
from exporter.graphs.check.inspect import check_decoder, check_model, metadata, read_model
from exporter.graphs.check.reference import Reference, source_reference
from exporter.graphs.check.same_graph import check_same_graph
from exporter.graphs.graph_set import (
    EMBEDDINGS,
    VISION,
    GraphSource,
    build_graphs,
    graph_path,
    plan_tensors,
    variant_metadata,
)
from exporter.graphs.weights.precision import Precision
from exporter.plan.plan import Plan, PlannedVariant
from exporter.reference.golden_inputs import make_inputs, vocabulary
from exporter.reference.threads import threads_for, using_threads
from runtime.documents.atomic_file import write_atomically
from runtime.documents.check import Check
from runtime.documents.golden_outputs import golden_path, write_graph_golden
from runtime.documents.graph_contract import FAMILY_DIGEST, PRECISION, check_metadata
from runtime.documents.tensor_digests import ShardDigests
from runtime.engines.onnx.decoder import OnnxDecoder
from runtime.engines.onnx.self_test import LACKING, self_test
from runtime.engines.onnx.session import CPU, open_session
from runtime.errors import VerificationError

EMBEDDING_TOLERANCE = 1e-4
Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class GraphResult:
    """What is said of one variant's graph: its golden file relative to the family (None where it cannot run here), and
    the checks."""

    golden: str | None
    checks: tuple[Check, ...]


def check_graphs(
    source: GraphSource,
    plan: Plan,
    precision: Precision,
    *,
    data: ShardDigests,
    folder: Path,
    answers: bool,
    progress: Callable[[int], None],
) -> dict[str, GraphResult]:
    """Check every graph of the precision below the family `folder`; `data` is the record of its data file.

    Node census, equality with the planned graphs node by node, ranges and the data file's digest always; with `answers`
    also logits, greedy tokens and experts, which are compared with transformers in float32, and golden files are
    written and self-tested. Half precisions run on the CPU widened to float32. `progress` is told bytes of weights,
    once the plan's in all. Raises VerificationError naming what differs.
    """
    if not same_digest(folder / data.path, data):
        raise VerificationError(f"{folder / data.path}: the file on disk is not what was written")
    structure = {variant.id: _check_structure(source, variant, precision, folder) for variant in plan.variants}
    for path, planned in build_graphs(source, plan, precision, plan_tensors(source, plan, precision), digest=None):
        check_same_graph(folder / path, check_model(folder / path), ir.to_proto(planned))
    if not answers:
        skipped = Check(name=f"onnx {precision.name} logits", outcome="skipped", detail="--no-logits was given")
        return {variant: GraphResult(golden=None, checks=(check, skipped)) for variant, check in structure.items()}
    threads, results = threads_for(sum(record.bytes for record in source.checkpoint.tensors.values())), {}
    with using_threads(threads):
        runner = _Runner(source, precision, folder, threads)
        for variant in plan.variants:
            golden, checks = runner.check(variant)
            results[variant.id] = GraphResult(golden=golden, checks=(structure[variant.id], *checks))
            progress(variant.bytes)
    return results


def same_digest(path: Path, data: ShardDigests) -> bool:
    """Whether the data file on disk is the recorded one. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == data.sha256


def _check_structure(source: GraphSource, variant: PlannedVariant, precision: Precision, folder: Path) -> Check:
    top_k = tuple(
        variant.top_k[layer] if variant.top_k is not None and source.spec.blocks[block].sparse else None
        for layer, block in enumerate(variant.layers)
    )
    path = folder / graph_path(precision, variant.id)
    detail = check_decoder(path, top_k=top_k)
    check_metadata(
        path, metadata(read_model(path)), {**variant_metadata(variant), PRECISION: precision.name}, source="the plan"
    )
    return Check(name=f"onnx {precision.name} structure", outcome="passed", detail=detail)


def _shared(source: GraphSource) -> tuple[str, ...]:
    embeddings = (EMBEDDINGS,) if source.architecture.decoder.inputs == "inputs_embeds" else ()
    return (*embeddings, VISION) if source.has_vision else embeddings


class _Runner:
    """The prompts, the shared graphs' outputs and the reference, for one variant after the other."""

    def __init__(self, source: GraphSource, precision: Precision, folder: Path, threads: int) -> None:
        self.source, self.precision, self.folder, self.threads = source, precision, folder, threads
        self.reference = source_reference(source.checkpoint, source.architecture, precision)
        self.inputs = make_inputs(source.checkpoint.config, vocabulary=vocabulary(source.checkpoint))
        shared = {name: folder / graph_path(precision, name) for name in _shared(source)}
        arrays = {name: tensor.numpy() for name, tensor in self.inputs.items()}
        self.prompts = read_prompts(
            arrays, precision, embeddings=shared.get(EMBEDDINGS), vision=shared.get(VISION), threads=threads
        )
        self.shared_tested = False
        self._check_embeddings()
        self._write_prompts()

    def _check_embeddings(self) -> None:
        if self.prompts.embed is None:
            return
        expected = self.reference.embed(self.inputs).numpy()
        for row, length in enumerate(self.prompts.lengths):
            difference = float(np.abs(self.prompts.values[row, :length] - expected[row, :length]).max())
            limit = EMBEDDING_TOLERANCE * float(np.abs(expected).max())
            if not difference <= limit:
                raise VerificationError(
                    f"{self.precision.name}: embeddings of row {row}, images included: max |Δ| {difference:.3g}, "
                    f"allowed {limit:.3g}"
                )

    def _write_prompts(self) -> None:
        tensors = dict(self.prompts.inputs)
        if self.prompts.embed is not None:
            tensors["inputs_embeds"] = self.prompts.values
        if self.prompts.features is not None:
            tensors["image_features"] = self.prompts.features
        path = self.folder / golden_path(self.precision.name, "inputs")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(
            path, safetensors.numpy.save({name: np.ascontiguousarray(value) for name, value in sorted(tensors.items())})
        )

    def check(self, variant: PlannedVariant) -> tuple[str, tuple[Check, ...]]:
        spec = self.source.spec
        graph = self.folder / graph_path(self.precision, variant.id)
        sparse = tuple(spec.blocks[block].sparse for block in variant.layers)
        answer = run_decoder(
            graph, self.prompts, self.precision, sparse=sparse, positions=len(spec.cos), threads=self.threads
        )
        checks = judge(
            variant.id, answer, self.reference, self.inputs, self.precision, blocks=variant.layers, top_k=variant.top_k
        )
        digest = metadata(read_model(graph)).get(FAMILY_DIGEST)
        golden = graph_golden(
            variant.id, self.precision, self.prompts, answer, top_k=variant.top_k, family_digest=digest
        )
        path = golden_path(self.precision.name, variant.id)
        write_graph_golden(self.folder / path, golden)
        inputs = self.folder / golden_path(self.precision.name, "inputs")
        test = repeat(
            graph, self.folder / path, inputs, self.precision, threads=self.threads, shared=not self.shared_tested
        )
        self.shared_tested = True
        return path, (*checks, test)


def repeat(graph: Path, golden: Path, inputs: Path, precision: Precision, *, threads: int, shared: bool) -> Check:
    """The self-test on the CPU as a check: skipped where that has no kernels for the type. Raises VerificationError
    when it fails."""
    name, found = f"onnx {precision.name} self-test", f"onnxruntime {onnxruntime.__version__}, {CPU}"
    if precision.dtype in LACKING[CPU]:
        detail = (
            f"{found}, has no {precision.dtype} kernels; the golden outputs are of the same graph widened to "
            "float32: whoever loads it tests it"
        )
        return Check(name=name, outcome="skipped", detail=detail)
    decoder = OnnxDecoder(open_session(graph, threads=threads, spinning=False, fold_constants=not precision.half))
    test = self_test(graph, golden, inputs, threads=threads, decoder=decoder, shared=shared)
    detail = (
        f"golden outputs repeated within {test.difference:.2g} of the largest logit, allowed {test.limit:.2g} ({found})"
    )
    return Check(name=name, outcome="passed", detail=detail)


def judge(
    variant: str,
    answer: Answer,
    reference: Reference,
    inputs: Mapping[str, torch.Tensor],
    precision: Precision,
    *,
    blocks: Sequence[int],
    top_k: Sequence[int] | None,
) -> tuple[Check, ...]:
    """Compare a decoder's answer to the golden prompts `inputs` with the reference's blocks; see `compare_answers`."""
    continued = _continue(inputs, answer.greedy)
    expected = reference.run(continued, blocks=blocks, top_k=top_k)
    rows, length = continued["input_ids"].shape
    experts = [None if ids is None else ids.reshape(rows, length, -1).numpy() for ids in expected.experts]
    checks = compare_answers(
        variant, precision.name, answer, expected.logits.numpy(), experts, inputs["attention_mask"].sum(1).numpy()
    )
    if not precision.half:
        return checks
    how = (
        f"by the same graph widened to float32 on the CPU; {precision.dtype} itself runs where a provider has "
        "it, and is self-tested there"
    )
    return tuple(
        replace(check, detail=f"{check.detail}; {how}") if check.name.endswith("logits") else check for check in checks
    )


def _continue(inputs: Mapping[str, torch.Tensor], greedy: Array) -> dict[str, torch.Tensor]:
    """The inputs with each row followed by its greedy tokens, without the last, padded on the right."""
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    added = greedy.shape[1] - 1
    longer, seen = (
        torch.cat([ids, ids.new_zeros(len(ids), added)], 1),
        torch.cat([mask, mask.new_zeros(len(mask), added)], 1),
    )
    for row, length in enumerate(mask.sum(1).tolist()):
        longer[row, length : length + added] = torch.from_numpy(greedy[row, :added])
        seen[row, length : length + added] = 1
    return {**inputs, "input_ids": longer, "attention_mask": seen}
