"""Read byte ranges of source files, and notice when a file is not the one that was planned with."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from exporter.checkpoint.checkpoint import Checkpoint, SourceFile
from exporter.checkpoint.chunks import Chunk
from runtime.errors import CheckpointError, SourceChangedError

_MAX_OPEN = 16


class SourceReader:
    """Reads the shards of one checkpoint. Each file is compared with its planned size, time and inode when it is opened
    and closed."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Open nothing yet."""
        self._folder: Path = checkpoint.folder
        self._planned: Mapping[str, SourceFile] = {file.name: file for file in checkpoint.files}
        self._open: dict[str, int] = {}

    def __enter__(self) -> "SourceReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in tuple(self._open):
            os.close(self._open.pop(name))

    def read(self, chunk: Chunk, view: memoryview) -> None:
        """Fill `view[:chunk.size]` with the chunk's bytes. Raises SourceChangedError when a file ends too early."""
        for read in chunk.reads:
            descriptor, done, size = self._descriptor(read.file), 0, read.end - read.begin
            while done < size:
                try:
                    count = os.preadv(descriptor, [view[read.begin + done : read.end]], read.offset + done)
                except OSError as error:
                    raise CheckpointError(
                        f"{self._folder / read.file}: cannot be read at byte {read.offset + done}: {error.strerror}"
                    ) from error
                if count == 0:
                    was, size = self._planned[read.file].size, os.fstat(descriptor).st_size
                    raise SourceChangedError(
                        f"{self._folder / read.file}: changed while it was read: ends at byte {size}, was {was} "
                        "bytes when planned"
                    )
                done += count

    def check(self) -> None:
        """Raise SourceChangedError, naming the file and what changed, unless every file of the checkpoint is as
        planned."""
        for name, planned in self._planned.items():
            if name in self._open:
                self._compare(planned, os.fstat(self._open[name]))
            self._compare(planned, self._stat(name))

    def _descriptor(self, name: str) -> int:
        if name not in self._open:
            if len(self._open) >= _MAX_OPEN:
                oldest = next(iter(self._open))
                self._compare(self._planned[oldest], os.fstat(self._open[oldest]))
                os.close(self._open.pop(oldest))
            try:
                self._open[name] = os.open(self._folder / name, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError as error:
                raise SourceChangedError(f"{self._folder / name}: has gone since planning") from error
            except OSError as error:
                raise CheckpointError(f"{self._folder / name}: cannot be read: {error.strerror}") from error
            self._compare(self._planned[name], os.fstat(self._open[name]))
        return self._open[name]

    def _stat(self, name: str) -> os.stat_result:
        try:
            return (self._folder / name).stat()
        except FileNotFoundError as error:
            raise SourceChangedError(f"{self._folder / name}: has gone since planning") from error
        except OSError as error:
            raise CheckpointError(f"{self._folder / name}: cannot be read: {error.strerror}") from error

    def _compare(self, planned: SourceFile, found: os.stat_result) -> None:
        path = self._folder / planned.name
        if found.st_size != planned.size:
            raise SourceChangedError(
                f"{path}: changed while it was read: {found.st_size} bytes, was {planned.size} when planned"
            )
        if found.st_ino != planned.inode:
            raise SourceChangedError(f"{path}: changed while it was read: it is another file than the one planned with")
        if found.st_mtime_ns != planned.mtime_ns:
            raise SourceChangedError(f"{path}: changed while it was read: it was written to after planning")
