"""The one writer of weights files: front to back, past the page cache where possible, digested on the way, durable."""

import hashlib
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from exporter.weights.aligned_file import AlignedBuffer, open_unbuffered, write_at

PART_SUFFIX = ".part"


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenFile:
    """A finished file: its size in bytes and the sha256 of all of them."""

    size: int
    sha256: str


class WeightsFile:
    """A weights file being written under its name and PART_SUFFIX; `finish` makes it durable and gives it its own name.

    Use as a context manager: a file that is not finished keeps the other name. All methods raise OSError naming the
    final path.
    """

    def __init__(self, path: Path, buffer: AlignedBuffer) -> None:
        """Create or empty the file; `buffer` is lent for as long as it is open."""
        self._final = path
        self._part = path.with_name(path.name + PART_SUFFIX)
        self._buffer = buffer
        self._filled = 0
        self._written = 0
        self._digest = hashlib.sha256()
        self._descriptor = open_unbuffered(self._part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def __enter__(self) -> "WeightsFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def position(self) -> int:
        """The bytes appended so far."""
        return self._written + self._filled

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes, through the buffer."""
        rest = memoryview(data).cast("B")
        self._digest.update(rest)
        while rest:
            take = min(len(rest), len(self._buffer.view) - self._filled)
            self._buffer.view[self._filled : self._filled + take] = rest[:take]
            self._filled, rest = self._filled + take, rest[take:]
            if self._filled == len(self._buffer.view):
                self._flush()

    def write_pages(self, view: memoryview, size: int) -> None:
        """Append the first `size` bytes of `view`, an AlignedBuffer's, without copying them.

        The file must be at a page boundary: only the last piece may end within a page. The rest of that page is written
        as it is and cut off by `finish`.
        """
        if self._filled:
            self._flush()
        self._write_at(view[: size + -size % mmap.PAGESIZE])
        self._digest.update(view[:size])
        self._written += size

    def finish(self) -> WrittenFile:
        """Write what is left, make the file durable and rename it to its own name."""
        if self._filled:
            self._flush()
        with self._naming():
            os.ftruncate(self._descriptor, self._written)
            os.fsync(self._descriptor)
        self.close()
        self._part.rename(self._final)
        return WrittenFile(size=self._written, sha256=self._digest.hexdigest())

    def close(self) -> None:
        """Close the file; harmless when it is closed already."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _flush(self) -> None:
        self._write_at(self._buffer.view[: self._filled + -self._filled % mmap.PAGESIZE])
        self._written += self._filled
        self._filled = 0

    def _write_at(self, view: memoryview) -> None:
        with self._naming():
            write_at(self._descriptor, view, self._written)

    @contextmanager
    def _naming(self) -> Iterator[None]:
        """Calls on a descriptor know no name."""
        try:
            yield
        except OSError as error:
            error.filename = str(self._final)
            raise
