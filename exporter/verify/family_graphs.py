"""Verify the ONNX form of a finished family again: structure, census, golden outputs, and logits against the
safetensors variants."""

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from exporter.architectures.dimensions import read_dimensions
from exporter.family.existing import graph_types
from exporter.graphs.check.graph_run import Prompts, read_prompts, run_decoder
from exporter.graphs.check.graph_verifier import judge, repeat
from exporter.graphs.check.inspect import check_decoder, check_model, metadata
from exporter.graphs.check.rebuilt_graphs import RebuiltGraphs
from exporter.graphs.check.reference import open_reference
from exporter.graphs.check.same_graph import check_same_graph
from exporter.graphs.graph_set import EMBEDDINGS, VISION, graph_path, variant_metadata
from exporter.graphs.weights.precision import Precision, find_precision
from exporter.reference.block_weights import read_places
from exporter.reference.threads import threads_for, using_threads
from exporter.verify.family_structure import manifest_architecture
from runtime.documents.check import FAILED, PASSED, SKIPPED, Check
from runtime.documents.checked_json import read_document
from runtime.documents.family_digest import family_digest
from runtime.documents.golden_outputs import golden_path, read_arrays
from runtime.documents.graph_contract import FAMILY_DIGEST, PRECISION, check_metadata
from runtime.documents.manifest import Manifest, VariantRecord
from runtime.engines.onnx.session import naming
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
    for name in graph_types(manifest):
        with using_threads(threads_for(max(variant.bytes for variant in variants))):
            checks += _Verification(folder, manifest, find_precision(name)).run(
                variants, answers=answers, progress=progress
            )
    return tuple(checks)


class _Verification:
    def __init__(self, folder: Path, manifest: Manifest, precision: Precision) -> None:
        self.folder, self.manifest, self.precision = folder, manifest, precision
        self.architecture = manifest_architecture(manifest)
        self.rebuilt = RebuiltGraphs(folder, manifest, self.architecture, precision)
        listed = {record.path for record in manifest.files}
        self.shared = {
            name: self._graph(name) for name in (EMBEDDINGS, VISION) if graph_path(precision, name) in listed
        }
        self.version = importlib.metadata.version("trimoe")
        self.shared_tested = False

    def run(self, variants: Sequence[VariantRecord], *, answers: bool, progress: Callable[[int], None]) -> list[Check]:
        kind, prompts = self.precision.name, None
        checks: list[Check] = []
        try:
            self._check_shared()
        except TrimoeError as error:
            checks.append(Check(name=f"onnx {kind}", outcome=FAILED, detail=str(error)))
        for variant in variants:
            try:
                positions = self._structure(variant, checks)
                if not answers or not self._path("inputs").is_file():
                    because = (
                        "--no-logits was given"
                        if not answers
                        else "no golden outputs: it was exported with --no-logits"
                    )
                    checks.append(
                        Check(name=f"onnx {kind} logits", variant=variant.id, outcome=SKIPPED, detail=because)
                    )
                    continue
                prompts = prompts or self._prompts()
                self._answers(variant, prompts, positions, checks)
            except TrimoeError as error:
                checks.append(Check(name=f"onnx {kind}", variant=variant.id, outcome=FAILED, detail=str(error)))
            progress(variant.bytes)
        return checks

    def _path(self, name: str) -> Path:
        return self.folder / golden_path(self.precision.name, name)

    def _graph(self, name: str) -> Path:
        return self.folder / graph_path(self.precision, name)

    def _structure(self, variant: VariantRecord, checks: list[Check]) -> int:
        """Check the graph; returns the number of positions it has."""
        config, path = self.folder / variant.folder / "config.json", self._graph(variant.id)
        document = {key: node.value for key, node in read_document(config).items()}
        sparse = read_dimensions(self.architecture, document, file=str(config)).sparse
        if len(sparse) != len(variant.layers):
            raise VerificationError(f"{config}: {len(sparse)} layers, the manifest says {len(variant.layers)}")
        planned = [
            k if has_experts else None
            for k, has_experts in zip(variant.top_k or (None,) * len(sparse), sparse, strict=True)
        ]
        detail = check_decoder(path, top_k=planned)
        model = check_model(path)
        digest = family_digest(self.manifest.files, self.manifest.variants)
        self._check_metadata(path, model, {**variant_metadata(variant), FAMILY_DIGEST: digest})
        graph, spec = self.rebuilt.build(variant)
        if self.manifest.trimoe == self.version:
            check_same_graph(path, model, graph)
        else:  # a later version may plan the same computation as other nodes
            detail = (
                f"{detail}; not compared node by node: written by trimoe {self.manifest.trimoe}, this is {self.version}"
            )
        checks.append(
            Check(name=f"onnx {self.precision.name} structure", variant=variant.id, outcome=PASSED, detail=detail)
        )
        return len(spec.cos)

    def _check_metadata(self, path: Path, model: Any, wanted: Mapping[str, str]) -> None:
        """The graph says which variant it is of which family, as programs that see only the graph must know."""
        found = {FAMILY_DIGEST: "", **metadata(model)}
        check_metadata(path, found, {**wanted, PRECISION: self.precision.name}, source="the manifest")

    def _check_shared(self) -> None:
        """Check the graphs in front of the decoders, where there are any."""
        digest = family_digest(self.manifest.files, self.manifest.variants)
        for path in self.shared.values():
            self._check_metadata(path, check_model(path), {FAMILY_DIGEST: digest})

    def _prompts(self) -> tuple[dict[str, torch.Tensor], Prompts]:
        path = self._path("inputs")
        arrays, _ = read_arrays(path)
        needed = ("input_ids", "attention_mask", *((*PIXELS, "image_input_idx") if VISION in self.shared else ()))
        absent = [name for name in needed if name not in arrays]
        if absent:
            raise VerificationError(f"{path}: the tensors {', '.join(absent)} are missing")
        inputs = {
            name: torch.from_numpy(value)
            for name, value in arrays.items()
            if name not in ("inputs_embeds", "image_features")
        }
        embeddings, vision, threads = self.shared.get(EMBEDDINGS), self.shared.get(VISION), torch.get_num_threads()
        with naming(str(path)):
            return inputs, read_prompts(arrays, self.precision, embeddings=embeddings, vision=vision, threads=threads)

    def _answers(
        self,
        variant: VariantRecord,
        prompts: tuple[dict[str, torch.Tensor], Prompts],
        positions: int,
        checks: list[Check],
    ) -> None:
        threads, depth = torch.get_num_threads(), len(variant.layers)
        golden, inputs = self._path(variant.id), self._path("inputs")
        test = repeat(
            self._graph(variant.id), golden, inputs, self.precision, threads=threads, shared=not self.shared_tested
        )
        self.shared_tested = True
        checks.append(Check(name=test.name, variant=variant.id, outcome=test.outcome, detail=test.detail))
        place = self.folder / variant.folder
        config = {key: node.value for key, node in read_document(place / "config.json").items()}
        places = read_places(place)
        reference = open_reference(
            self.precision,
            folder=place,
            config=config,
            architecture=self.architecture,
            places=places,
            error=VerificationError,
        )
        sparse = read_dimensions(self.architecture, config, file=str(place / "config.json")).sparse
        with naming(str(self._graph(variant.id))):
            answer = run_decoder(
                self._graph(variant.id), prompts[1], self.precision, sparse=sparse, positions=positions, threads=threads
            )
        found = judge(variant.id, answer, reference, prompts[0], self.precision, blocks=range(depth), top_k=None)
        checks += [
            Check(name=record.name, variant=variant.id, outcome=PASSED, detail=record.detail) for record in found
        ]
