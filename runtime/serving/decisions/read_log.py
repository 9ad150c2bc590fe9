"""Reading decision logs back: strictly, line by line, with file and line in every error."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn

import msgspec

from runtime.documents.checked_json import parse_document
from runtime.documents.schema import convert, read_fields
from runtime.errors import DocumentError
from runtime.serving.decisions.record import FORMAT, VERSION, Decision, LogHeader

MAX_LINE_BYTES = 16 << 20
_log = logging.getLogger(__name__)


class LogReader:
    """A file of a decision log: its `header`, and by iteration its decisions. A last line that was cut off by a crash
    is left out, which `torn` says and a warning."""

    def __init__(self, path: Path) -> None:
        """Read the head. Raises DocumentError."""
        self._path, self.torn = path, False
        with self._opened() as stream:
            node = parse_document(stream.readline(MAX_LINE_BYTES), file=f"{path}:1")
        self.header = convert(
            read_fields(node, format=FORMAT, version=VERSION, what="a decision log of trimoe"), LogHeader
        )

    def __iter__(self) -> Iterator[Decision]:
        """Raises DocumentError naming file and line for what is no decision."""
        decoder = msgspec.json.Decoder(Decision)
        with self._opened() as stream:
            stream.readline(MAX_LINE_BYTES)
            number = 1
            while line := stream.readline(MAX_LINE_BYTES):
                number += 1
                if not line.endswith(b"\n"):
                    self._cut_off(line, number)
                    return
                try:
                    decision = decoder.decode(line)
                except msgspec.MsgspecError:
                    _refuse(line, f"{self._path}:{number}")
                yield decision

    def _opened(self) -> BinaryIO:
        try:
            return self._path.open("rb")
        except OSError as error:
            raise DocumentError(f"{self._path}: cannot be read: {error.strerror or error}") from error

    def _cut_off(self, line: bytes, number: int) -> None:
        if len(line) == MAX_LINE_BYTES:
            raise DocumentError(f"{self._path}:{number}: longer than {MAX_LINE_BYTES} bytes, the limit for a line")
        self.torn = True
        _log.warning("%s:%d: the last line was cut off and is left out", self._path, number)


def _refuse(line: bytes, place: str) -> NoReturn:
    """Say what is wrong with a line in the words that all documents share."""
    convert(parse_document(line, file=place), Decision)
    raise DocumentError(f"{place}: not a decision")
