"""The ONNX engine: a family's graphs run by ONNX Runtime, without torch. Sessions map the same files, so that further
variants take little more memory than one."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from threading import Lock

import onnxruntime

from runtime.documents.family_files import FamilyFiles
from runtime.documents.family_layout import (
    GRAPH_INPUTS,
    GRAPHS,
    graph_files,
    graph_folder,
    graph_golden_path,
    graph_path,
)
from runtime.documents.graph_contract import PACKED
from runtime.documents.manifest import Manifest
from runtime.engines.mixed_batch import MixedBatch, run_in_turn
from runtime.engines.onnx.rows import Rows, bounds, part_count
from runtime.engines.onnx.self_test import self_test
from runtime.engines.onnx.session import CPU
from runtime.engines.onnx.variant_graphs import SharedSessions, VariantGraphs
from runtime.engines.onnx.workers import Workers
from runtime.engines.padding import group_by_variant
from runtime.engines.prefixes import Prefixes
from runtime.engines.protocol import NO_CLOCK, Prompt, StageClock
from runtime.engines.trust import CheckRecords, Checks
from runtime.errors import DocumentError

_log = logging.getLogger(__name__)


class OnnxEngine:
    """The variants of the family (or standalone copy) in `folder`, in one type of weights on one provider.

    On the CPU a batch runs in parts side by side, each with its share of the threads: the kernels for a few thousand
    small matrices gain little from more threads within one run. Each part is of one variant. Elsewhere batches that
    join are run in turn, and rows that are dropped run on until their batch is over.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        *,
        dtype: str,
        provider: str = CPU,
        threads: int | None = None,
        prefix_bytes: int = 0,
        records: CheckRecords | None = None,
    ) -> None:
        """`threads` None means one for each core. On the CPU `prefix_bytes` of keys and values are kept for prompts
        that begin as others did. `records` of checks that passed spare repeating them. Raises DocumentError when the
        family has no graphs in that type, naming those it has."""
        self._folder, self._manifest, self._dtype, self._provider = folder, manifest, dtype, provider
        self._place = FamilyFiles(folder).place
        self._threads = threads or os.cpu_count() or 1
        self._prefixes = Prefixes(prefix_bytes) if prefix_bytes and provider == CPU else None
        self._shared = SharedSessions(self._place(graph_folder(dtype)), provider=provider)
        self._graphs: dict[str, VariantGraphs] = {}
        self._loading: dict[str, Lock] = {}
        self._workers = Workers(self._threads)
        self._shared_tested = False
        self._checks = Checks(folder, manifest, software=self.software, records=records)
        if not self._place(graph_folder(dtype)).is_dir():
            found = sorted(path.name for path in self._place(GRAPHS).glob("*") if path.is_dir())
            raise DocumentError(
                f"{folder}: no ONNX graphs in {dtype}; the family has "
                f"{', '.join(found) or 'none: export with --format safetensors,onnx'}"
            )

    @property
    def software(self) -> Mapping[str, str]:
        """The version of ONNX Runtime, the provider and its threads."""
        return {
            "onnxruntime": onnxruntime.__version__,
            "onnxruntime provider": self._provider,
            "onnxruntime threads": str(self._threads),
        }

    def load(self, variant: str) -> str:
        """See Engine. Variants exported without golden outputs run untested, with a warning. Others run, and load,
        meanwhile."""
        self._loaded(variant)
        return self._dtype

    def prefill(self, prompts: Sequence[Prompt], *, max_new_tokens: int, clock: StageClock = NO_CLOCK) -> MixedBatch:
        """See Engine."""
        groups = group_by_variant(prompts)
        graphs = {variant: self._loaded(variant) for variant in groups}

        def started(places: Sequence[int], *, threads: int, place: int = 0) -> tuple[Sequence[int], Rows]:
            chosen = [prompts[place] for place in places]
            own = partial(Rows, graphs[chosen[0].variant], chosen, prefixes=self._prefixes)
            return places, own(max_new_tokens=max_new_tokens, clock=clock, threads=threads, place=place)

        parts = [started(places, threads=self._threads) for places in groups.values()]
        if self._provider != CPU:
            return MixedBatch(parts, partial(run_in_turn, threads=self._threads))
        cut = [one for places in groups.values() for one in self._cut(places, len(groups))]
        apart = partial(_apart, started, cut, threads=max(1, self._threads // len(cut)))
        return MixedBatch(parts, self._workers.run, apart if len(cut) > 1 else None)

    def unload(self, variant: str) -> None:
        """Drop the sessions of a variant, when no sequence uses them any more."""
        self._graphs.pop(variant, None)
        if self._prefixes is not None:
            self._prefixes.forget(variant)

    def close(self) -> None:
        """Drop all sessions."""
        self._graphs.clear()
        self._workers.close()

    def _cut(self, places: Sequence[int], groups: int) -> list[tuple[int, Sequence[int]]]:
        """The places of one of the `groups` of variants in parts, numbered."""
        cut = bounds(len(places), part_count(len(places), self._threads // groups))
        return [(part, places[first:last]) for part, (first, last) in enumerate(pairwise(cut))]

    def _loaded(self, variant: str) -> VariantGraphs:
        """The variant's graphs, tested when they are opened. Only who waits for the same variant waits."""
        found = self._graphs.get(variant)
        if found is None:
            known = self._manifest.variant(variant).id
            with self._loading.setdefault(known, Lock()):
                found = self._graphs.get(known) or self._opened(known)
                self._graphs[known] = found
        return found

    def _opened(self, variant: str) -> VariantGraphs:
        """The variant's graphs, when their files and they themselves have passed what `records` do not say."""
        graph = self._place(graph_path(self._dtype, variant))
        run = partial(VariantGraphs, provider=self._provider, threads=self._threads, packed=self._dtype in PACKED)
        opened = cache(partial(run, graph, self._shared))
        self._checks.run(graph_files(self._dtype, variant), lambda: self._self_test(graph, opened()))
        return opened()

    def _self_test(self, graph: Path, graphs: VariantGraphs) -> None:
        golden, inputs = (self._place(graph_golden_path(self._dtype, name)) for name in (graph.stem, GRAPH_INPUTS))
        if not golden.is_file():
            _log.warning(
                "%s: no golden outputs, so its ONNX graphs run without a self-test: it was exported with --no-logits",
                self._folder,
            )
            return
        first = not self._shared_tested
        self_test(
            graph,
            golden,
            inputs,
            provider=self._provider,
            threads=self._threads,
            decoder=graphs.whole,
            shared=first,
        )
        self._shared_tested = True


def _apart(
    started: Callable[..., tuple[Sequence[int], Rows]], cut: Sequence[tuple[int, Sequence[int]]], *, threads: int
) -> Sequence[tuple[Sequence[int], MixedBatch]]:
    """The parts of a batch, each as a batch that runs in the thread that calls it."""
    found = (started(places, threads=threads, place=part) for part, places in cut)
    run = partial(run_in_turn, threads=threads)
    return [(places, MixedBatch([(range(len(places)), rows)], run)) for places, rows in found]
