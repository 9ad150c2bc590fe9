"""The ONNX engine of evaluation: a variant's graphs run by ONNX Runtime, batches padded on the right, greedy
decoding."""

import importlib.metadata
import itertools
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import onnxruntime

from exporter.architectures.architecture import Architecture, manifest_architecture
from profiles.accuracy.engine import Request
from profiles.accuracy.onnx_answers import OnnxAnswerer
from profiles.accuracy.prompts import PromptReader
from runtime.documents.checked_json import Node, read_document
from runtime.documents.family_layout import GRAPH_INPUTS, graph_golden_path
from runtime.documents.manifest import Manifest, VariantRecord
from runtime.engines.onnx.self_test import self_test
from runtime.engines.onnx.session import CPU
from runtime.errors import DocumentError

LEAST_ROWS = 8
_log = logging.getLogger(__name__)


class OnnxEngine:
    """One variant in one precision on one provider. `graphs` is the folder of the precision, `folder` the variant's
    own.

    On the CPU a large batch is cut into parts that run side by side, each with its share of the threads: the kernels
    for a few thousand small matrices gain little from more threads within one run, and one part's images are
    prepared while another part is answered.
    """

    def __init__(
        self,
        folder: Path,
        graphs: Path,
        variant: str,
        architecture: Architecture,
        *,
        precision: str,
        provider: str,
        threads: int,
    ) -> None:
        """Open the decoder and, for models that take images, the shared graphs in front of it. Raises
        VerificationError as sessions do."""
        self._precision, self._provider, self._threads = precision, provider, threads
        self._prompts = PromptReader(folder, architecture)
        self._open = partial(
            OnnxAnswerer, graphs, variant, _end_ids(folder, self._prompts.tokenizer.eos_token_id), provider=provider
        )
        self._answerers = {1: (self._open(threads=threads),)}
        self._ahead: tuple[tuple[Sequence[Request], Mapping[str, Any]], ...] = ()

    @property
    def dtype(self) -> str:
        """The precision of the graphs."""
        return self._precision

    @property
    def software(self) -> Mapping[str, str]:
        """Versions of ONNX Runtime and of transformers, whose tokenizers are used, the provider and its threads."""
        return {
            "onnxruntime": onnxruntime.__version__,
            "onnxruntime provider": self._provider,
            "onnxruntime threads": str(self._threads),
            "transformers": importlib.metadata.version("transformers"),
        }

    def generate(
        self, requests: Sequence[Request], *, max_new_tokens: int, following: Sequence[Request] = ()
    ) -> list[str]:
        """The greedy answers of a batch. A large batch's `following` is prepared while its parts run."""
        parts = self._cut(requests)
        if len(parts) == 1:
            (answerer,) = self._answerers[1]
            return self._prompts.texts(answerer.answer(self._read(requests), max_new_tokens=max_new_tokens))
        if len(parts) not in self._answerers:
            self._answerers[len(parts)] = tuple(self._open(threads=self._threads // len(parts)) for _ in parts)
        with ThreadPoolExecutor(len(parts)) as pool:
            # The tokenizer is not for several threads at once: everything is read here.
            futures: list[Future[list[list[int]]]] = [
                pool.submit(answerer.answer, self._prepared(part), max_new_tokens=max_new_tokens)
                for part, answerer in zip(parts, self._answerers[len(parts)], strict=True)
            ]
            self._ahead = tuple((part, self._read(part)) for part in self._cut(following) if part)
            return [text for future in futures for text in self._prompts.texts(future.result())]

    def close(self) -> None:
        """Drop the sessions."""
        self._answerers.clear()
        self._ahead = ()

    def _cut(self, requests: Sequence[Request]) -> list[Sequence[Request]]:
        """The parts of a batch that run side by side."""
        count = part_count(len(requests), self._threads) if self._provider == CPU else 1
        bounds = [len(requests) * part // count for part in range(count + 1)]
        return [requests[first:last] for first, last in itertools.pairwise(bounds)]

    def _prepared(self, requests: Sequence[Request]) -> Mapping[str, Any]:
        return next((inputs for ahead, inputs in self._ahead if ahead == requests), None) or self._read(requests)

    def _read(self, requests: Sequence[Request]) -> Mapping[str, Any]:
        return self._prompts.read(requests, side="right", kind="np")


def part_count(rows: int, threads: int) -> int:
    """In how many parts a batch runs: one a thread, but none of fewer than `LEAST_ROWS` rows."""
    return max(1, min(threads, rows // LEAST_ROWS))


def _end_ids(folder: Path, default: int | None) -> frozenset[int]:
    """The tokens that end an answer: of generation_config.json, else of config.json, else the tokenizer's."""
    for name in ("generation_config.json", "config.json"):
        if (folder / name).is_file():
            node = read_document(folder / name).get("eos_token_id")
            if node is not None and node.value is not None:
                return frozenset(one.integer(minimum=0) for one in _listed(node))
    return frozenset(() if default is None else (default,))


def _listed(node: Node) -> tuple[Node, ...]:
    return node.elements() if isinstance(node.value, list) else (node,)


class OnnxOpener:
    """Opens variants of the family in `folder`, in one precision."""

    def __init__(
        self, folder: Path, manifest: Manifest, *, dtype: str, provider: str = CPU, threads: int | None = None
    ) -> None:
        """`threads` None means one for each core. Raises DocumentError when the family has no graphs in that
        precision, naming those it has."""
        self._threads = threads or os.cpu_count() or 1
        self._folder, self._dtype, self._provider = folder, dtype, provider
        self._variants: Mapping[str, VariantRecord] = {variant.id: variant for variant in manifest.variants}
        self._architecture = manifest_architecture(manifest)
        self._graphs = folder / "onnx" / dtype
        self._shared_tested = False
        if not self._graphs.is_dir():
            found = sorted(path.name for path in (folder / "onnx").glob("*") if path.is_dir())
            raise DocumentError(
                f"{folder}: no ONNX graphs in {dtype}; the family has "
                f"{', '.join(found) or 'none: export with --format safetensors,onnx'}"
            )

    def __call__(self, variant: str) -> OnnxEngine:
        """The engine of a variant, once its graphs have passed their self-test here. Raises VerificationError when
        they do not."""
        self._self_test(variant)
        folder = self._folder / self._variants[variant].folder
        return OnnxEngine(
            folder,
            self._graphs,
            variant,
            self._architecture,
            precision=self._dtype,
            provider=self._provider,
            threads=self._threads,
        )

    def _self_test(self, variant: str) -> None:
        golden, inputs = (self._folder / graph_golden_path(self._dtype, name) for name in (variant, GRAPH_INPUTS))
        if not golden.is_file():
            _log.warning(
                "%s: no golden outputs, so its ONNX graphs run without a self-test: it was exported with --no-logits",
                self._folder,
            )
            return
        graph = self._graphs / f"{variant}.onnx"
        self_test(graph, golden, inputs, provider=self._provider, threads=self._threads, shared=not self._shared_tested)
        self._shared_tested = True
