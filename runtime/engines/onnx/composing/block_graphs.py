"""The open sessions of a family's block graphs, and which of them make up a variant."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from threading import Lock

import onnxruntime

from runtime.documents.family_layout import HEAD, TOKEN_EMBEDDINGS, block_name
from runtime.errors import DocumentError

Composition = Mapping[int, str]  # of a variant: for each source block that it keeps, the name of its graph


class BlockGraphs:
    """The graphs of blocks in `folder`, and those before and behind them, each opened when it is first needed for so
    many threads. For several threads."""

    def __init__(self, folder: Path, opened: Callable[[Path, int], onnxruntime.InferenceSession]) -> None:
        """`opened(path, threads)` opens a graph; nothing is opened yet."""
        self.folder, self._opened, self._opening = folder, opened, Lock()
        self._sessions: dict[tuple[str, int], onnxruntime.InferenceSession] = {}

    @property
    def there(self) -> bool:
        """Whether the family has such graphs at all."""
        return self._path(HEAD).is_file()

    @property
    def embedded(self) -> bool:
        """Whether token ids become embeddings here, and not before."""
        return self._path(TOKEN_EMBEDDINGS).is_file()

    def composition(self, layers: Sequence[int], top_k: Sequence[int] | None) -> Composition:
        """The graphs of the source blocks `layers` with `top_k` experts per token at each. Raises DocumentError naming
        those that the family does not have."""
        every: Sequence[int | None] = [None] * len(layers) if top_k is None else top_k
        found = {block: self._name(block, k) for block, k in zip(layers, every, strict=True)}
        absent = [name for name in (*found.values(), HEAD) if not self._path(name).is_file()]
        if absent:
            raise DocumentError(f"{self.folder}: no graphs {', '.join(absent)}: the family uses no such blocks")
        return found

    def _name(self, block: int, k: int | None) -> str:
        """A block without experts has one graph, whatever a variant says of it."""
        return block_name(block, None if self._path(block_name(block, None)).is_file() else k)

    def session(self, name: str, threads: int) -> onnxruntime.InferenceSession:
        """The session of a graph. Raises VerificationError."""
        with self._opening:
            if (name, threads) not in self._sessions:
                self._sessions[name, threads] = self._opened(self._path(name), threads)
            return self._sessions[name, threads]

    def keep(self, used: Collection[Composition]) -> None:
        """Drop the sessions that none of these variants needs."""
        names = {name for composition in used for name in composition.values()} | (
            {HEAD, TOKEN_EMBEDDINGS} if used else set()
        )
        with self._opening:
            self._sessions = {key: session for key, session in self._sessions.items() if key[0] in names}

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.onnx"
