"""The open sessions of a family's graphs: those that all variants share, and one variant's decoder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import onnxruntime

from runtime.documents.family_layout import EMBEDDINGS, VISION
from runtime.engines.onnx.composing.arrangement import Kind
from runtime.engines.onnx.composing.block_graphs import BlockGraphs, Composition
from runtime.engines.onnx.composing.composed import ComposedDecoder
from runtime.engines.onnx.decoder import OnnxDecoder
from runtime.engines.onnx.key_values import CacheSizes
from runtime.engines.onnx.session import open_session
from runtime.engines.onnx.shared_graphs import SharedGraph, SharedGraphs

# Sessions take turns: idle threads of one that burn time would take it from the next.
_SPINNING = False


class SharedSessions:
    """The graphs in front of all decoders, opened once for each number of threads that they are run with."""

    def __init__(self, folder: Path, *, provider: str) -> None:
        """`folder` is that of the graphs' type."""
        self._folder, self._provider = folder, provider
        self._opening = Lock()
        self._embeddings: SharedGraph | None = None
        self._opened: dict[int, SharedGraphs] = {}

    def opened(self, threads: int) -> SharedGraphs:
        """The graphs, for any number of calls at a time. Raises VerificationError."""
        with self._opening:
            if threads not in self._opened:
                # Embeddings copy rows: waking a thread takes longer.
                self._embeddings = self._embeddings or self._open(EMBEDDINGS, 1)
                self._opened[threads] = SharedGraphs(self._embeddings, self._open(VISION, threads))
            return self._opened[threads]

    def _open(self, name: str, threads: int) -> SharedGraph | None:
        path = self._folder / f"{name}.onnx"
        if not path.is_file():
            return None
        return SharedGraph(open_session(path, provider=self._provider, threads=threads, spinning=_SPINNING), name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A variant: its source blocks, and the graph of all of it; None where it was never exported, but is composed."""

    variant: str
    layers: tuple[int, ...]
    graph: Path | None


class VariantGraphs:
    """What the rows of one variant run on: its whole graph, and graphs of blocks where it runs together with others
    (`composition`; None: it does not)."""

    def __init__(
        self,
        member: Member,
        shared: SharedSessions,
        blocks: BlockGraphs,
        *,
        open_graph: Callable[[Path, int], onnxruntime.InferenceSession],
        threads: int,
        movable: bool,
        composition: Composition | None = None,
    ) -> None:
        """Open the graph, by `open_graph(path, threads)`, for one run with all the threads, and for several with one
        each where rows are `movable`. Raises VerificationError."""
        self.variant, self.layers, self.shared, self.blocks = member.variant, member.layers, shared, blocks
        self.movable, self.composition = movable, composition
        self._graph, self._open, self._opening = member.graph, open_graph, Lock()
        self._opened: dict[tuple[int, int], OnnxDecoder | ComposedDecoder] = {}
        self.whole = self.decoder(threads)
        if self.movable:
            self.decoder(1)

    @property
    def kind(self) -> Kind:
        """What it has in common with the variants that compute the same."""
        composition = self.composition
        if composition is None:
            return (self.variant,)
        return tuple(composition.get(block, "") for block in range(max(composition) + 1))

    def sizes(self, layers: int) -> CacheSizes:
        """What rows keep for each token in buffers of so many layers."""
        whole = self.whole
        return CacheSizes(layers=layers, kv_heads=whole.kv_heads, head_dim=whole.head_dim, dtype=whole.dtype)

    def decoder(self, threads: int, place: int = 0) -> OnnxDecoder | ComposedDecoder:
        """The decoder with so many threads. Runs at the same time share the one of a single thread, which has none of
        its own; else each `place` at which the variant runs at the same time has another. Raises VerificationError."""
        key = (threads, place if threads > 1 else 0)
        with self._opening:
            if key not in self._opened:
                self._opened[key] = self._decoder(threads)
            return self._opened[key]

    def _decoder(self, threads: int) -> OnnxDecoder | ComposedDecoder:
        if self._graph is not None:
            return OnnxDecoder(self._open(self._graph, threads))
        assert self.composition is not None, "what has no graph of its own is composed"
        return ComposedDecoder(self.blocks, [self.composition], threads=threads)
