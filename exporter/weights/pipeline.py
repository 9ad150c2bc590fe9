"""Reading, writing and digesting at the same time: one buffer is filled while the other is worked on."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TypeVar

from exporter.weights.aligned_file import AlignedBuffer

CHUNK_BYTES = 4 * 1024 * 1024
Piece = TypeVar("Piece")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pipeline:
    """A thread pool (digests and system calls run without the interpreter lock) and two buffers of one size."""

    pool: ThreadPoolExecutor
    buffers: tuple[AlignedBuffer, AlignedBuffer]

    @property
    def chunk_bytes(self) -> int:
        """The size of a buffer, which is the most that a piece can have."""
        return len(self.buffers[0].view)

    def run(
        self,
        pieces: Iterable[Piece],
        fill: Callable[[Piece, AlignedBuffer], None],
        tasks: Sequence[Callable[[Piece, AlignedBuffer], None]],
        advance: Callable[[Piece], None],
    ) -> None:
        """Fill a buffer for each piece and hand it to all tasks at once, while the next piece fills the other buffer.

        Each task gets the pieces in order, one at a time. Raises the first error of `fill` or of a task, when no task
        uses a buffer any more.
        """
        running: list[Future[None]] = []
        try:
            for number, piece in enumerate(pieces):
                buffer = self.buffers[number % 2]
                fill(piece, buffer)
                _join(running)
                running = [self.pool.submit(task, piece, buffer) for task in tasks]
                advance(piece)
            _join(running)
        finally:
            wait(running)  # also when interrupted: nothing may still use the buffers and files


def make_pipeline(pool: ThreadPoolExecutor, chunk_bytes: int = CHUNK_BYTES) -> Pipeline:
    """A pipeline with two new buffers."""
    return Pipeline(pool=pool, buffers=(AlignedBuffer(chunk_bytes), AlignedBuffer(chunk_bytes)))


def _join(futures: Sequence[Future[None]]) -> None:
    """Wait for all of them and raise the first error."""
    wait(futures)
    for future in futures:
        future.result()
