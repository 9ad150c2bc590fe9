"""Verify the ONNX form of a finished family again: structure, golden outputs, and logits against the safetensors
variants."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from exporter.architectures.find import manifest_architecture
from exporter.family.existing import graph_types
from exporter.graphs.check.graph_verifier import GraphVerifier
from exporter.graphs.check.rebuilt_graphs import RebuiltGraphs
from exporter.graphs.weights.precision import find_precision
from exporter.reference.threads import threads_for, using_threads
from runtime.documents.check import FAILED, SKIPPED, Check
from runtime.documents.family_layout import GRAPH_INPUTS, VISION, graph_golden_path
from runtime.documents.golden_outputs import read_arrays
from runtime.documents.graph_contract import ATTENTION_MASK, IMAGE_FEATURES, IMAGE_INPUT_IDX, INPUT_IDS, INPUTS_EMBEDS
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
    architecture, threads = manifest_architecture(manifest), threads_for(max(variant.bytes for variant in variants))
    for name in graph_types(manifest):
        expected = RebuiltGraphs(folder, manifest, architecture, find_precision(name))
        with using_threads(threads):
            verification = _Verification(expected, GraphVerifier(expected, threads=threads))
            checks += verification.shared()
            for variant in variants:
                checks += verification.variant(variant.id, answers=answers)
                progress(variant.bytes)
    return tuple(checks)


class _Verification:
    """The graphs in one type: every difference is a failed check."""

    def __init__(self, expected: RebuiltGraphs, verifier: GraphVerifier) -> None:
        self._expected, self._verifier = expected, verifier
        self._name = f"onnx {expected.precision.name}"
        self._inputs = expected.folder / graph_golden_path(expected.precision.name, GRAPH_INPUTS)

    def shared(self) -> Iterator[Check]:
        """The checks of the graphs in front of the decoders that failed."""
        try:
            self._verifier.check_shared()
        except TrimoeError as error:
            yield Check(name=self._name, outcome=FAILED, detail=str(error))

    def variant(self, variant: str, *, answers: bool) -> Iterator[Check]:
        """The checks of a variant's decoder, up to the first that fails."""
        verifier = self._verifier
        try:
            yield verifier.structure(variant)
            if not answers or not self._inputs.is_file():
                because = "no golden outputs: it was exported with --no-logits" if answers else "--no-logits was given"
                yield Check(name=f"{self._name} logits", variant=variant, outcome=SKIPPED, detail=because)
                return
            if verifier.prompts is None:
                verifier.ask(self._read_inputs(), variant=variant)
            yield verifier.self_test(variant)
            yield from verifier.compare_with_reference(variant, verifier.run(variant))
        except TrimoeError as error:
            yield Check(name=self._name, variant=variant, outcome=FAILED, detail=str(error))

    def _read_inputs(self) -> dict[str, torch.Tensor]:
        """The golden inputs, without what the shared graphs made of them."""
        arrays, _ = read_arrays(self._inputs)
        images = (*PIXELS, IMAGE_INPUT_IDX) if VISION in self._expected.shared() else ()
        absent = [name for name in (INPUT_IDS, ATTENTION_MASK, *images) if name not in arrays]
        if absent:
            raise VerificationError(f"{self._inputs}: the tensors {', '.join(absent)} are missing")
        made = (INPUTS_EMBEDS, IMAGE_FEATURES)
        return {name: torch.from_numpy(value) for name, value in arrays.items() if name not in made}
