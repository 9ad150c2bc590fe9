"""The journal of an evaluation that is under way: one line a batch of answers, durable before the next batch begins."""

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from profiles.errors import MeasurementError


class Journal:
    """Answers by the place of their sample, kept in a file whose first line names the settings they were made with.

    A last line that was cut off is dropped, its batch is answered again. Raises MeasurementError for a journal of other
    settings, a damaged one, and one that another process writes.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Open or begin the journal at `path`."""
        self._path = path
        self._header = dump_line({"settings": settings})
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


def check_settings(path: Path, header: bytes, settings: Mapping[str, Any]) -> None:
    """Refuse a file whose first line has other settings: MeasurementError names the first that differs."""
    try:
        found = json.loads(header)["settings"]
    except (ValueError, KeyError, TypeError) as error:
        raise MeasurementError(
            f"{path}: line 1: not the settings of an evaluation; remove the file or give another --out"
        ) from error
    for key in sorted({*settings, *found}):
        if found.get(key) != settings.get(key):
            raise MeasurementError(
                f"{path}: holds answers made with another {key} ({found.get(key)!r}, now {settings.get(key)!r}); "
                "remove it or give another --out"
            )


def _read_batch(line: bytes, place: str) -> dict[int, str]:
    try:
        value = json.loads(line)
        return dict(zip(value["places"], value["answers"], strict=True))
    except (ValueError, KeyError, TypeError) as error:
        raise MeasurementError(f"{place}: damaged; remove the file to begin again") from error
