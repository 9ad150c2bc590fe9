"""The open sessions of a family's graphs: those that all variants share, and one variant's decoder."""

from functools import partial
from pathlib import Path
from threading import Lock

from runtime.documents.family_layout import EMBEDDINGS, VISION
from runtime.engines.onnx.decoder import OnnxDecoder
from runtime.engines.onnx.session import CPU, open_session
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


class VariantGraphs:
    """What the rows of one variant run on."""

    def __init__(
        self, graph: Path, shared: SharedSessions, *, provider: str, threads: int, packed: bool = False
    ) -> None:
        """Open the decoder `graph` for one run with all the threads, and for several with one each; `packed` as in
        `open_session`. Raises VerificationError."""
        self.variant, self.shared, self.movable = graph.stem, shared, provider == CPU
        self._graph, self._opening = graph, Lock()
        self._open = partial(open_session, graph, provider=provider, packed=packed, spinning=_SPINNING)
        self._opened: dict[tuple[int, int], OnnxDecoder] = {}
        self.whole = self.decoder(threads)
        if self.movable:
            self.decoder(1)

    def decoder(self, threads: int, place: int = 0) -> OnnxDecoder:
        """The decoder with so many threads. Runs at the same time share the one of a single thread, which has none of
        its own; else each `place` at which the variant runs at the same time has another. Raises VerificationError."""
        key = (threads, place if threads > 1 else 0)
        with self._opening:
            if key not in self._opened:
                self._opened[key] = OnnxDecoder(self._open(threads=threads))
            return self._opened[key]
