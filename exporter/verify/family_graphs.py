"""Verify the ONNX form of a finished family again: structure, golden outputs, and logits against the safetensors
variants."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from exporter.architectures.find import manifest_architecture
from exporter.family.existing import graph_types
from exporter.graphs.check.graph_verifier import GraphVerifier, Question
from exporter.graphs.check.rebuilt_graphs import RebuiltGraphs
from exporter.graphs.weights.precision import find_precision
from exporter.reference.threads import graph_threads_for, threads_for, using_threads
from runtime.documents.check import FAILED, PASSED, SKIPPED, Check
from runtime.documents.family_layout import GRAPH_INPUTS, VISION, graph_golden_path
from runtime.documents.golden_outputs import Array, read_arrays
from runtime.documents.graph_contract import (
    ATTENTION_MASK,
    FOLLOWING_IDS,
    IMAGE_FEATURES,
    IMAGE_INPUT_IDX,
    INPUT_IDS,
    INPUTS_EMBEDS,
)
from runtime.documents.manifest import Manifest, VariantRecord
from runtime.engines.onnx.shared_graphs import PIXELS
from runtime.errors import TrimoeError, VerificationError


def verify_graphs(
    *,
    folder: Path,
    manifest: Manifest,
    variants: Sequence[VariantRecord],
    answers: bool,
    progress: Callable[[int], None],
) -> tuple[Check, ...]:
    """Check the graphs of `variants` in every type the family has; with `answers` also run them. `progress` is told
    bytes of weights."""
    checks: list[Check] = []
    architecture, weights = manifest_architecture(manifest), max(variant.bytes for variant in variants)
    for name in graph_types(manifest):
        expected = RebuiltGraphs(folder, manifest, architecture, find_precision(name))
        with using_threads(threads_for(weights)):
            verification = _Verification(expected, GraphVerifier(expected, threads=graph_threads_for(weights)))
            checks += verification.shared()
            sound = []
            for variant in variants:
                check = verification.structure(variant.id)
                checks.append(check)
                sound += [variant] if check.outcome == PASSED else []
            checks += verification.answers(sound, progress) if answers else verification.skipped(sound)
    return tuple(checks)


class _Verification:
    """The graphs in one type: every difference is a failed check."""

    def __init__(self, expected: RebuiltGraphs, verifier: GraphVerifier) -> None:
        self._expected, self._verifier = expected, verifier
        self._name = f"onnx {expected.precision.name}"
        self._inputs = expected.folder / graph_golden_path(expected.precision.name, GRAPH_INPUTS)

    def shared(self) -> Iterator[Check]:
        """The checks of the graphs that no variant has for itself that failed."""
        try:
            self._verifier.check_shared()
        except TrimoeError as error:
            yield Check(name=self._name, outcome=FAILED, detail=str(error))

    def structure(self, variant: str) -> Check:
        """The check of a decoder that is not run."""
        try:
            return self._verifier.structure(variant)
        except TrimoeError as error:
            return Check(name=self._name, variant=variant, outcome=FAILED, detail=str(error))

    def skipped(self, variants: Sequence[VariantRecord], because: str = "--no-logits was given") -> Iterator[Check]:
        """The checks of decoders that are not run."""
        for variant in variants:
            yield Check(name=f"{self._name} logits", variant=variant.id, outcome=SKIPPED, detail=because)

    def answers(self, variants: Sequence[VariantRecord], progress: Callable[[int], None]) -> Iterator[Check]:
        """The checks of decoders that are run, each up to the first that fails."""
        if not self._inputs.is_file():
            yield from self.skipped(variants, "no golden outputs: it was exported with --no-logits")
            return
        if not variants:
            return
        by_id, deepest = {v.id: v for v in variants}, max(variants, key=lambda variant: len(variant.layers))
        try:
            self._verifier.ask(*self._read_inputs(), variant=variants[0].id)
            total = sum(variant.bytes for variant in variants)
            told = self._verifier.expectations(
                tuple(by_id), deep=deepest.id, progress=lambda share: progress(round(share * total))
            )
            for variant, question in told:
                yield from self._answers(variant, question)
                progress(by_id[variant].bytes)
        except TrimoeError as error:
            yield Check(name=self._name, outcome=FAILED, detail=str(error))

    def _answers(self, variant: str, question: Question) -> Iterator[Check]:
        try:
            yield from self._verifier.answers(variant, question)
        except TrimoeError as error:
            yield Check(name=self._name, variant=variant, outcome=FAILED, detail=str(error))

    def _read_inputs(self) -> tuple[dict[str, torch.Tensor], Array]:
        """The golden inputs, without what the shared graphs made of them, and the ids behind them."""
        arrays, _ = read_arrays(self._inputs)
        images = (*PIXELS, IMAGE_INPUT_IDX) if VISION in self._expected.shared() else ()
        absent = [name for name in (INPUT_IDS, ATTENTION_MASK, FOLLOWING_IDS, *images) if name not in arrays]
        if absent:
            raise VerificationError(f"{self._inputs}: the tensors {', '.join(absent)} are missing")
        made = (INPUTS_EMBEDS, IMAGE_FEATURES, FOLLOWING_IDS)
        inputs = {name: torch.from_numpy(value) for name, value in arrays.items() if name not in made}
        return inputs, arrays[FOLLOWING_IDS]
