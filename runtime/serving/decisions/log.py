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


class Writers:
    """The logs of one process that share a file's path, and the lock that all take."""

    def __init__(self) -> None:
        """None yet."""
        self.lock, self.logs = threading.RLock(), list[DecisionLog]()


class DecisionLog:
    """Appends to the file `path`; when that has `rotate_bytes`, it becomes `path`.1, that one `path`.2 and so on, of
    which `keep` stay.

    A line is written by one call, so that a crash cuts off the last one at most; what is cut off is removed when the
    log is opened again. A file has one header: one with another is numbered, and a new one begun. For several threads.
    A line that cannot be written is lost: `lost` counts them.
    """

    def __init__(
        self,
        path: Path,
        header: LogHeader,
        *,
        rotate_bytes: int = 64 << 20,
        keep: int = 4,
        writers: "Writers | None" = None,
    ) -> None:
        """Open or begin the file, but with the first line only where others of the `writers` have it: those write the
        rest of their lines into the file that was numbered then.

        Raises TargetError when it cannot be written or another process writes it, ValueError for limits that are not
        above 0.
        """
        if rotate_bytes <= 0 or keep <= 0:
            raise ValueError(f"rotate_bytes {rotate_bytes} and keep {keep} must be above 0")
        self._path, self._rotate_bytes, self._keep = path, rotate_bytes, keep
        self._head = _head(header)
        self._writers, self._encoder = writers or Writers(), msgspec.json.Encoder()
        self._lock, self._users, self._numbers = self._writers.lock, 1, True
        self._stream: io.FileIO | None = None
        self._size, self.lost = 0, 0
        if any(one.is_open for one in self._writers.logs):
            return
        try:
            self._stream = self._opened()
        except OSError as error:
            raise TargetError(f"{path}: cannot be written: {error.strerror or error}") from error

    def write(self, decision: Decision) -> None:
        """Append a line; a line that cannot be written is counted and the first one logged."""
        line = self._encoder.encode(decision) + b"\n"
        with self._lock:
            try:
                self._append(line, self._ready(len(line)))
            except (OSError, ValueError) as error:  # ValueError: closed, or what a failed rotation left
                self.lost += 1
                if self.lost == 1:
                    _log.error("%s: a decision cannot be written, nor perhaps further ones: %s", self._path, error)

    @property
    def is_open(self) -> bool:
        """Whether anybody writes it."""
        return self._users > 0

    def share(self, header: LogHeader) -> bool:
        """Let one more write it, if it is open and has this header."""
        with self._lock:
            shared = self.is_open and self._numbers and _head(header) == self._head
            self._users += shared
            return shared

    def leave_path(self) -> None:
        """Number the file, if it is open, and write further lines there, however many."""
        with self._lock:
            if self._stream is not None and not self._stream.closed and self._numbers:
                self._number()
                self._numbers = False

    def close(self) -> None:
        """Close the file, when all that share it have; later lines are lost."""
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._stream is not None:
                self._stream.close()

    def _ready(self, more: int) -> io.FileIO:
        """The stream, with room for so many bytes."""
        if not self.is_open:
            raise ValueError("the log is closed")
        if self._stream is None:
            for one in self._writers.logs:
                one.leave_path()
            self._stream = self._opened()
        if self._numbers and self._size + more > self._rotate_bytes and self._size > len(self._head):
            self._stream.close()
            self._number()
            self._stream = self._opened()
        return self._stream

    def _append(self, line: bytes, stream: io.FileIO) -> None:
        """The whole line, or nothing where the disk is full."""
        if stream.write(line) != len(line):
            stream.truncate(self._size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += len(line)

    def _opened(self) -> io.FileIO:
        """The file, held against other processes, without a line that was cut off, and with its head."""
        stream = self._held()
        try:
            self._size = _cut_torn(stream)
            if self._size and os.pread(stream.fileno(), len(self._head), 0) != self._head:
                self._number()
                stream.close()
                stream = self._held()
                self._size = 0
            if self._size == 0:
                stream.write(self._head)
                self._size = len(self._head)
        except BaseException:
            stream.close()
            raise
        return stream

    def _held(self) -> io.FileIO:
        stream = io.FileIO(self._path, "a+")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            stream.close()
            raise
        return stream

    def _number(self) -> None:
        for number in range(self._keep - 1, 0, -1):
            older = self._numbered(number)
            if older.exists():
                older.replace(self._numbered(number + 1))
        self._path.replace(self._numbered(1))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _head(header: LogHeader) -> bytes:
    return msgspec.json.encode({"format": FORMAT, "version": VERSION, **fields_of(header)}) + b"\n"


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
