"""The journal of an evaluation that is under way: one line a batch of answers, durable before the next batch begins.

A file of JSON lines, in trimoe's own format, like the file of results that takes its place: first the AnswerSettings,
then here a _Batch a line.
"""

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from msgspec import Struct

from profiles.errors import MeasurementError
from runtime.documents.baseline import DatasetRecord, DecodingRecord, DefinitionRecord, FamilyRecord
from runtime.documents.checked_json import parse_document
from runtime.documents.schema import Natural, convert, fields_of
from runtime.errors import DocumentError


class AnswerSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that the answers of one variant to one data set may depend on: the first line of their file."""

    family: FamilyRecord
    variant: str
    engine: str
    dtype: str
    dataset: DatasetRecord
    definition: DefinitionRecord
    decoding: DecodingRecord
    software: Mapping[str, str]


class _Header(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line of a file of answers."""

    settings: AnswerSettings


class _Batch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answers of a batch, and the places of their samples in the data set."""

    places: tuple[Natural, ...]
    answers: tuple[str, ...]


class Journal:
    """Answers by the place of their sample, kept in a file whose first line names the settings they were made with.

    A last line that was cut off is dropped, its batch is answered again. Raises MeasurementError for a journal of other
    settings, a damaged one, and one that another process writes.
    """

    def __init__(self, path: Path, settings: AnswerSettings) -> None:
        """Open or begin the journal at `path`."""
        self._path = path
        self._header = dump_header(settings)
        self._settings = settings
        self._stream: BinaryIO | None = None
        self.answers: dict[int, str] = {}

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = self._path.open("a+b")
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._stream.close()
            raise MeasurementError(f"{self._path}: another evaluation is writing it") from error
        try:
            self._recover()
        except BaseException:
            self._stream.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file().close()

    def add(self, places: Sequence[int], answers: Sequence[str]) -> None:
        """Record the answers of a batch; they are on disk when this returns. Raises OSError."""
        self._append(dump_line({"places": list(places), "answers": list(answers)}))
        self.answers.update(zip(places, answers, strict=True))

    def remove(self) -> None:
        """Delete the file, the journal still being open."""
        self._path.unlink()

    def _file(self) -> BinaryIO:
        if self._stream is None:
            raise RuntimeError("the journal is not open")
        return self._stream

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
            self._append(self._header)
            return
        header, *lines = whole.splitlines(keepends=True)
        check_settings(self._path, header, self._settings)
        for number, line in enumerate(lines, 2):
            self.answers.update(_read_batch(line, f"{self._path}: line {number}"))
        stream.truncate(len(whole))


def dump_line(value: object) -> bytes:
    """A JSON line with sorted keys and no spaces."""
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def dump_header(settings: AnswerSettings) -> bytes:
    """The first line of a file of answers made with these settings."""
    return dump_line({"settings": fields_of(settings)})


def check_settings(path: Path, header: bytes, settings: AnswerSettings) -> None:
    """Refuse a file whose first line has other settings: MeasurementError names the first that differs."""
    try:
        line = convert(parse_document(header, file=f"{path}: line 1"), _Header)
    except DocumentError as error:
        raise MeasurementError(
            f"{path}: line 1: not the settings of an evaluation; remove the file or give another --out ({error})"
        ) from error
    found, now = fields_of(line.settings), fields_of(settings)
    for key in sorted(now):
        if found[key] != now[key]:
            raise MeasurementError(
                f"{path}: holds answers made with another {key} ({found[key]!r}, now {now[key]!r}); "
                "remove it or give another --out"
            )


def _read_batch(line: bytes, place: str) -> dict[int, str]:
    try:
        batch = convert(parse_document(line, file=place), _Batch)
        return dict(zip(batch.places, batch.answers, strict=True))
    except (DocumentError, ValueError) as error:
        raise MeasurementError(f"{place}: damaged; remove the file to begin again") from error
