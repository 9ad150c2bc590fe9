"""The decision log: a line a request, in files that are begun anew when they are full."""

import errno
import fcntl
import io
import logging
import os
import threading
from pathlib import Path

import msgspec

from runtime.documents.schema import fields_of
from runtime.errors import TargetError
from runtime.serving.decisions.record import FORMAT, VERSION, Decision, LogHeader

_log = logging.getLogger(__name__)


class DecisionLog:
    """Appends to the file `path`; when that has `rotate_bytes`, it becomes `path`.1, that one `path`.2 and so on, of
    which `keep` stay.

    A line is written by one call, so that a crash cuts off the last one at most; what is cut off is removed when the
    log is opened again. For several threads. A line that cannot be written is lost: `lost` counts them.
    """

    def __init__(self, path: Path, header: LogHeader, *, rotate_bytes: int = 64 << 20, keep: int = 4) -> None:
        """Open or begin the file. Raises TargetError when it cannot be written or another process writes it, ValueError
        for limits that are not above 0."""
        if rotate_bytes <= 0 or keep <= 0:
            raise ValueError(f"rotate_bytes {rotate_bytes} and keep {keep} must be above 0")
        self._path, self._rotate_bytes, self._keep = path, rotate_bytes, keep
        fields = {"format": FORMAT, "version": VERSION, **fields_of(header)}
        self._head = msgspec.json.encode(fields) + b"\n"
        self._lock, self._encoder = threading.Lock(), msgspec.json.Encoder()
        self.lost = 0
        try:
            self._stream = self._opened()
        except OSError as error:
            raise TargetError(f"{path}: cannot be written: {error.strerror or error}") from error

    def write(self, decision: Decision) -> None:
        """Append a line; a line that cannot be written is counted and the first one logged."""
        line = self._encoder.encode(decision) + b"\n"
        with self._lock:
            try:
                if self._size + len(line) > self._rotate_bytes and self._size > len(self._head):
                    self._rotate()
                self._append(line)
            except (OSError, ValueError) as error:  # ValueError: closed, or what a failed rotation left
                self.lost += 1
                if self.lost == 1:
                    _log.error("%s: a decision cannot be written, nor perhaps further ones: %s", self._path, error)

    def close(self) -> None:
        """Close the file; later lines are lost."""
        with self._lock:
            self._stream.close()

    def _append(self, line: bytes) -> None:
        """The whole line, or nothing where the disk is full."""
        if self._stream.write(line) != len(line):
            self._stream.truncate(self._size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += len(line)

    def _opened(self) -> io.FileIO:
        """The file, held against other processes, without a line that was cut off, and with its head."""
        stream = io.FileIO(self._path, "a+")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._size = _cut_torn(stream)
            if self._size == 0:
                stream.write(self._head)
                self._size = len(self._head)
        except BaseException:
            stream.close()
            raise
        return stream

    def _rotate(self) -> None:
        self._stream.close()
        for number in range(self._keep - 1, 0, -1):
            older = self._numbered(number)
            if older.exists():
                older.replace(self._numbered(number + 1))
        self._path.replace(self._numbered(1))
        self._stream = self._opened()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _cut_torn(stream: io.FileIO) -> int:
    """Remove what follows the last line's end; returns the bytes that are left."""
    end = os.fstat(stream.fileno()).st_size
    while end > 0:
        begin = max(0, end - (1 << 16))
        found = os.pread(stream.fileno(), end - begin, begin).rfind(b"\n")
        if found >= 0:
            end = begin + found + 1
            break
        end = begin
    stream.truncate(end)
    return end
