"""Verifies the graphs of a family while it is exported, against its plan and the source, and writes their golden
outputs."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import torch
from msgspec.structs import replace

from exporter.graphs.check.choose_golden import graph_golden, write_prompts
from exporter.graphs.check.expected_graphs import ExpectedDecoder, ExpectedGraph
from exporter.graphs.check.graph_run import Answer, Inside, Prompts
from exporter.graphs.check.graph_verifier import DEEP_STEPS, GraphVerifier
from exporter.graphs.check.inspect import metadata, read_model
from exporter.graphs.check.reference import Expected, Reference, ReferenceRun, Tensors, run_side_by_side
from exporter.graphs.graph_set import (
    GraphSource,
    build_blocks,
    build_graphs,
    plan_tensors,
    shared_graphs,
    variant_metadata,
)
from exporter.graphs.weights.precision import Precision
from exporter.plan.plan import Plan, PlannedVariant
from exporter.reference.golden_inputs import make_following, make_inputs, vocabulary
from exporter.reference.model_files import source_files
from exporter.reference.threads import graph_threads_for, threads_for, using_threads
from runtime.documents.check import SKIPPED, Check
from runtime.documents.family_layout import GRAPH_INPUTS, graph_golden_path, graph_path
from runtime.documents.golden_outputs import write_graph_golden
from runtime.documents.graph_contract import FAMILY_DIGEST, PRECISION
from runtime.documents.tensor_digests import ShardDigests
from runtime.errors import VerificationError


class PlannedGraphs:
    """The graphs of a plan in one type, below `folder` (exporter.graphs.check.expected_graphs.ExpectedGraphs). What
    they must answer is the source's answer with a variant's blocks and experts."""

    origin = "the plan"

    def __init__(self, source: GraphSource, plan: Plan, precision: Precision, folder: Path) -> None:
        """Plan all graphs; the source is opened when it is first run."""
        self.folder, self.precision = folder, precision
        self._source, self._variants = source, {variant.id: variant for variant in plan.variants}
        tensors = plan_tensors(source, plan, precision)
        self._models = dict(build_graphs(source, plan, precision, tensors, digest=None))
        weights = {tensor.name: tensor for tensor in tensors}
        self._blocks = dict(build_blocks(source, plan, precision, weights, {}))
        self._files = source_files(source.checkpoint, source.architecture)
        self._reference: Reference | None = None

    def shared(self) -> Mapping[str, ExpectedGraph]:
        """The graphs in front of the decoders by name."""
        return {name: self._graph(name, {}) for name in shared_graphs(self._source)}

    def blocks(self) -> Mapping[str, ExpectedGraph]:
        """The graphs of blocks, and those before and behind them, by name."""
        return {
            name: ExpectedGraph(
                path=self.folder / graph_path(self.precision.name, name),
                metadata={**model.metadata_props, PRECISION: self.precision.name},
                model=model,
            )
            for name, model in self._blocks.items()
        }

    def _graph(self, name: str, says: Mapping[str, str]) -> ExpectedGraph:
        path = graph_path(self.precision.name, name)
        wanted = {**says, PRECISION: self.precision.name}
        return ExpectedGraph(path=self.folder / path, metadata=wanted, model=self._models[path])

    def decoder(self, variant: str) -> ExpectedDecoder:
        """The graph of the variant of that id."""
        planned, spec = self._variants[variant], self._source.spec
        top_k = tuple(
            planned.top_k[layer] if planned.top_k is not None and spec.blocks[block].sparse else None
            for layer, block in enumerate(planned.layers)
        )
        graph = self._graph(variant, variant_metadata(planned))
        return ExpectedDecoder(graph=graph, top_k=top_k, positions=len(spec.cos))

    def embeddings(self, variant: str, inputs: Tensors) -> torch.Tensor:
        """What the source feeds to its first block, which every variant keeps. Raises CheckpointError."""
        return self._open().embed(inputs)

    def answers(
        self, inputs: Mapping[str, Tensors], progress: Callable[[float], None]
    ) -> Iterator[tuple[str, Expected]]:
        """What the source answers with the blocks and experts of each of the variants. Raises CheckpointError."""
        models = {id(asked): Reference(self._files, self.precision, like=self._open()) for asked in inputs.values()}
        runs = {}
        for variant, asked in inputs.items():
            planned = self._variants[variant]
            runs[variant] = ReferenceRun(
                model=models[id(asked)],
                inputs=asked,
                layers=planned.layers,
                blocks=planned.layers,
                top_k=planned.top_k,
            )
        return run_side_by_side(runs, progress)

    def _open(self) -> Reference:
        if self._reference is None:
            self._reference = Reference(self._files, self.precision)
        return self._reference


def check_graphs(
    source: GraphSource,
    plan: Plan,
    precision: Precision,
    *,
    data: ShardDigests,
    folder: Path,
    answers: bool,
    progress: Callable[[int], None],
) -> dict[str, tuple[Check, ...]]:
    """Check every graph of the precision below the family `folder`; the checks of each variant by its id, as its record
    in the manifest holds them. `data` is the record of the data file.

    The data file's digest and the structure of the graphs always; with `answers` also logits, greedy tokens and
    experts, which are compared with transformers in float32, and golden files are written and self-tested. `progress`
    is told bytes of weights, twice the plan's in all. Raises VerificationError naming what differs, CheckpointError.
    """
    if not same_digest(folder / data.path, data):
        raise VerificationError(f"{folder / data.path}: the file on disk is not what was written")
    weights = sum(record.bytes for record in source.checkpoint.tensors.values())
    verifier = GraphVerifier(PlannedGraphs(source, plan, precision, folder), threads=graph_threads_for(weights))
    verifier.check_shared()
    checks: dict[str, tuple[Check, ...]] = {v.id: (verifier.structure(v.id),) for v in plan.variants}
    if not answers:
        skipped = Check(name=f"onnx {precision.name} logits", outcome=SKIPPED, detail="--no-logits was given")
        return {variant: (*_recorded(found), skipped) for variant, found in checks.items()}
    with using_threads(threads_for(weights)):
        inputs = make_inputs(source.checkpoint.config, vocabulary=vocabulary(source.checkpoint))
        following = make_following(DEEP_STEPS, vocabulary=vocabulary(source.checkpoint))
        prompts = verifier.ask(inputs, following, variant=plan.variants[0].id)
        write_prompts(folder / graph_golden_path(precision.name, GRAPH_INPUTS), prompts)
        variants = {variant.id: variant for variant in plan.variants}
        deepest = max(plan.variants, key=lambda variant: len(variant.layers)).id
        total = sum(variant.bytes for variant in plan.variants)
        told = verifier.expectations(
            tuple(variants), deep=deepest, progress=lambda share: progress(round(share * total))
        )
        for name, question in told:
            checks[name] += verifier.answers(name, question, keep=partial(_keep, folder, precision, variants[name]))
            progress(variants[name].bytes)
    return {variant: _recorded(found) for variant, found in checks.items()}


def _recorded(checks: tuple[Check, ...]) -> tuple[Check, ...]:
    """The checks without the id of their variant, whose record holds them."""
    return tuple(replace(check, variant=None) for check in checks)


def _keep(
    folder: Path, precision: Precision, variant: PlannedVariant, prompts: Prompts, answer: Answer, inside: Inside
) -> None:
    """Write what the variant's graph has just answered as its golden outputs."""
    digest = metadata(read_model(folder / graph_path(precision.name, variant.id))).get(FAMILY_DIGEST)
    golden = graph_golden(variant.id, precision, prompts, answer, inside, top_k=variant.top_k, family_digest=digest)
    write_graph_golden(folder / graph_golden_path(precision.name, variant.id), golden)


def same_digest(path: Path, data: ShardDigests) -> bool:
    """Whether the data file on disk is the recorded one. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == data.sha256
