"""The ONNX engine: a family's graphs run by ONNX Runtime, without torch. Sessions map the same files, so that further
variants take little more memory than one."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from pathlib import Path

import onnxruntime

from runtime.documents.family_layout import GRAPH_INPUTS, GRAPHS, graph_folder, graph_golden_path, graph_path
from runtime.documents.manifest import Manifest
from runtime.engines.mixed_batch import MixedBatch, run_in_turn
from runtime.engines.onnx.rows import Rows
from runtime.engines.onnx.self_test import self_test
from runtime.engines.onnx.session import CPU
from runtime.engines.onnx.variant_graphs import VariantGraphs
from runtime.engines.padding import group_by_variant
from runtime.engines.protocol import NO_CLOCK, Prompt, StageClock
from runtime.errors import DocumentError

LEAST_ROWS = 8
_log = logging.getLogger(__name__)


class OnnxEngine:
    """The variants of the family in `folder`, in one type of weights on one provider.

    On the CPU a batch is cut into parts that run side by side, each with its share of the threads: the kernels for a
    few thousand small matrices gain little from more threads within one run. Each part is of one variant.
    """

    def __init__(
        self, folder: Path, manifest: Manifest, *, dtype: str, provider: str = CPU, threads: int | None = None
    ) -> None:
        """`threads` None means one for each core. Raises DocumentError when the family has no graphs in that type,
        naming those it has."""
        self._folder, self._manifest, self._dtype, self._provider = folder, manifest, dtype, provider
        self._threads = threads or os.cpu_count() or 1
        self._graphs: dict[str, dict[tuple[int, int], VariantGraphs]] = {}
        self._pool = ThreadPoolExecutor(self._threads)
        self._shared_tested = False
        if not (folder / graph_folder(dtype)).is_dir():
            found = sorted(path.name for path in (folder / GRAPHS).glob("*") if path.is_dir())
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
        """See Engine. Variants exported without golden outputs run untested, with a warning."""
        if variant not in self._graphs:
            self._self_test(self._manifest.variant(variant).id)
            self._graphs[variant] = {}
            self._opened(variant, threads=self._threads, place=0)
        return self._dtype

    def prefill(self, prompts: Sequence[Prompt], *, max_new_tokens: int, clock: StageClock = NO_CLOCK) -> MixedBatch:
        """See Engine."""
        groups = group_by_variant(prompts)
        for variant in groups:
            self.load(variant)
        parts = [(variant, places) for variant, rows in groups.items() for places in self._cut(rows, len(groups))]
        threads = max(1, self._threads // len(parts)) if self._provider == CPU else self._threads
        used: dict[str, int] = {}
        rows = []
        for variant, places in parts:
            place = used[variant] = used.get(variant, -1) + 1
            graphs = self._opened(variant, threads=threads, place=place)
            own = [prompts[place] for place in places]
            rows.append((places, Rows(graphs, own, max_new_tokens=max_new_tokens, clock=clock)))
        return MixedBatch(rows, self._side_by_side if self._provider == CPU else run_in_turn)

    def unload(self, variant: str) -> None:
        """Drop the sessions of a variant."""
        self._graphs.pop(variant, None)

    def close(self) -> None:
        """Drop all sessions."""
        self._graphs.clear()
        self._pool.shutdown()

    def _cut(self, rows: Sequence[int], groups: int) -> Iterator[Sequence[int]]:
        """The rows of one of the `groups` of variants, in parts."""
        count = part_count(len(rows), self._threads // groups) if self._provider == CPU else 1
        bounds = [len(rows) * part // count for part in range(count + 1)]
        return (rows[first:last] for first, last in pairwise(bounds))

    def _opened(self, variant: str, *, threads: int, place: int) -> VariantGraphs:
        """Sessions with so many threads, others for each place at which a variant runs at the same time."""
        opened = self._graphs[variant]
        if (threads, place) not in opened:
            opened[threads, place] = VariantGraphs(
                self._folder / graph_folder(self._dtype), variant, provider=self._provider, threads=threads
            )
        return opened[threads, place]

    def _side_by_side(self, tasks: Sequence[Callable[[], None]]) -> None:
        """Run tasks of several parts at the same time, the first in this thread."""
        others = [self._pool.submit(task) for task in tasks[1:]]
        try:
            run_in_turn(tasks[:1])
        finally:
            wait(others)
        for other in others:
            other.result()

    def _self_test(self, variant: str) -> None:
        golden, inputs = (self._folder / graph_golden_path(self._dtype, name) for name in (variant, GRAPH_INPUTS))
        if not golden.is_file():
            _log.warning(
                "%s: no golden outputs, so its ONNX graphs run without a self-test: it was exported with --no-logits",
                self._folder,
            )
            return
        graph, shared = self._folder / graph_path(self._dtype, variant), not self._shared_tested
        self_test(graph, golden, inputs, provider=self._provider, threads=self._threads, shared=shared)
        self._shared_tested = True


def part_count(rows: int, threads: int) -> int:
    """In how many parts a batch runs: one a thread, but none of fewer than `LEAST_ROWS` rows."""
    return max(1, min(threads, rows // LEAST_ROWS))
