"""A journal of long work under way: a line of settings, then a line for each part done, durable before the next.

A file of JSON lines, in trimoe's own format: settings and rows are declared types.
"""

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Generic, Self, TypeVar

from msgspec import Struct

from profiles.errors import MeasurementError
from runtime.documents.checked_json import parse_document
from runtime.documents.schema import convert, fields_of
from runtime.errors import DocumentError

Row = TypeVar("Row", bound=Struct)


@dataclass(frozen=True, kw_only=True, slots=True)
class JournalKind(Generic[Row]):
    """What a journal is of: `work` such as "evaluation", what it `holds` such as "answers", and its rows' type."""

    work: str
    holds: str
    row: type[Row]


class Journal(Generic[Row]):
    """The `rows` of a file whose first line names the settings they were made with.

    A last line that was cut off is dropped: a kill loses at most the part under way. Entering raises MeasurementError
    for a journal of other settings, a damaged one, and one that another process writes.
    """

    def __init__(self, path: Path, settings: Struct, kind: JournalKind[Row]) -> None:
        """Nothing is opened yet."""
        self._path, self._settings, self._kind = path, settings, kind
        self._stream: BinaryIO | None = None
        self.rows: list[Row] = []

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = self._path.open("a+b")
        try:
            self._lock()
            self._recover()
        except BaseException:
            self._stream.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file().close()

    def add(self, row: Row) -> None:
        """Record a row; it is on disk when this returns. Raises OSError."""
        self._append(dump_line(fields_of(row)))
        self.rows.append(row)

    def remove(self) -> None:
        """Delete the file, the journal still being open."""
        self._path.unlink()

    def clear(self) -> None:
        """Drop all rows. Raises OSError."""
        self._file().truncate(0)
        self._append(dump_header(self._settings))
        self.rows = []

    def _file(self) -> BinaryIO:
        if self._stream is None:
            raise RuntimeError("the journal is not open")
        return self._stream

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise MeasurementError(f"{self._path}: another {self._kind.work} is writing it") from error

    def _append(self, line: bytes) -> None:
        stream = self._file()
        try:
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())
        except OSError as error:
            error.filename = str(self._path)
            raise

    def _recover(self) -> None:
        stream = self._file()
        stream.seek(0)
        content = stream.read()
        whole = content[: content.rfind(b"\n") + 1]
        if not whole:
            stream.truncate(0)
            self._append(dump_header(self._settings))
            return
        header, *lines = whole.splitlines(keepends=True)
        check_settings(self._path, header, self._settings, self._kind)
        self.rows = [self._row(line, f"{self._path}: line {number}") for number, line in enumerate(lines, 2)]
        stream.truncate(len(whole))

    def _row(self, line: bytes, place: str) -> Row:
        try:
            return convert(parse_document(line, file=place), self._kind.row)
        except DocumentError as error:
            raise MeasurementError(f"{place}: damaged; remove the file to begin again") from error


def dump_line(value: object) -> bytes:
    """A JSON line with sorted keys and no spaces."""
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def dump_header(settings: Struct) -> bytes:
    """The first line of a file made with these settings."""
    return dump_line({"settings": fields_of(settings)})


def check_settings(path: Path, header: bytes, settings: Struct, kind: JournalKind[Any]) -> None:
    """Refuse a file whose first line has other settings: MeasurementError names the first that differs."""
    try:
        node = parse_document(header, file=f"{path}: line 1")
        found = fields_of(convert(node.require("settings"), type(settings)))
    except DocumentError as error:
        article = "an" if kind.work[0] in "aeiou" else "a"
        raise MeasurementError(
            f"{path}: line 1: not the settings of {article} {kind.work}; remove the file or give another --out "
            f"({error})"
        ) from error
    now = fields_of(settings)
    for key in sorted(now):
        if found[key] != now[key]:
            raise MeasurementError(
                f"{path}: holds {kind.holds} made with another {key} ({found[key]!r}, now {now[key]!r}); "
                "remove it or give another --out"
            )
