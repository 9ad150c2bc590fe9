"""Checked JSON: read a document once, at the edge, with errors that carry the file and the key path.

The format is JSON as RFC 8259 defines it, less what its readers do not agree on: a key that occurs twice, NaN and
infinities, a byte order mark, half of a surrogate pair.
"""

import codecs
import json
import math
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from runtime.errors import DocumentError

MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
MAX_NESTING = 64
MAX_DIGITS = 1000  # of an integer; Python itself converts no more than 4300
_SHOWN = 40
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One value of a JSON document together with where it stands.

    Each accessor returns the value as the asked type, or raises DocumentError naming file and key path. Nothing is
    converted: "3" is not an integer, 1.0 is not an integer, and neither is true.
    """

    value: Any
    file: str
    place: str = ""

    def fail(self, message: str) -> NoReturn:
        """Raise DocumentError with this node's file and key path in front of `message`."""
        raise DocumentError(f"{self.file}: {self.place + ': ' if self.place else ''}{message}")

    def _expect(self, kind: str) -> NoReturn:
        self.fail(f"expected {kind}, found {describe(self.value)}")

    def string(self) -> str:
        """The value as a string."""
        if not isinstance(self.value, str):
            self._expect("a string")
        return self.value

    def boolean(self) -> bool:
        """The value as a boolean."""
        if not isinstance(self.value, bool):
            self._expect("true or false")
        return self.value

    def integer(self, *, minimum: int | None = None, maximum: int | None = None) -> int:
        """The value as an integer within the given limits (both inclusive)."""
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            self._expect("an integer")
        if minimum is not None and self.value < minimum:
            self.fail(f"{shorten(str(self.value))} is below the least allowed, {minimum}")
        if maximum is not None and self.value > maximum:
            self.fail(f"{shorten(str(self.value))} is above the greatest allowed, {maximum}")
        return self.value

    def number(self) -> float:
        """The value as a finite float (integers count)."""
        if not isinstance(self.value, (int, float)) or isinstance(self.value, bool):
            self._expect("a number")
        try:
            number = float(self.value)
        except OverflowError:
            self.fail("the number is too large")
        if not math.isfinite(number):
            self.fail(f"expected a finite number, found {number}")
        return number

    def items(self) -> Iterator[tuple[str, "Node"]]:
        """The key and node of each entry of an object, in file order."""
        if not isinstance(self.value, dict):
            self._expect("an object")
        for key, value in self.value.items():
            yield key, Node(value=value, file=self.file, place=f"{self.place}[{quote(key)}]")

    def elements(self) -> tuple["Node", ...]:
        """The nodes of a list, in order."""
        if not isinstance(self.value, list):
            self._expect("a list")
        return tuple(Node(value=v, file=self.file, place=f"{self.place}[{i}]") for i, v in enumerate(self.value))

    def get(self, key: str) -> "Node | None":
        """The node under `key` of an object, None when the key is absent."""
        if not isinstance(self.value, dict):
            self._expect("an object")
        if key not in self.value:
            return None
        place = f"{self.place}.{key}" if self.place else key
        return Node(value=self.value[key], file=self.file, place=place)

    def require(self, key: str) -> "Node":
        """The node under `key` of an object; an absent key is an error."""
        node = self.get(key)
        if node is None:
            self.fail(f'the key "{key}" is missing')
        return node

    def without(self, *keys: str) -> "Node":
        """The node of an object without the entries of `keys`."""
        return Node(value={k: e.value for k, e in self.items() if k not in keys}, file=self.file, place=self.place)


def shorten(text: str) -> str:
    """A text as error messages show it: cut to 40 characters."""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def quote(text: str) -> str:
    """A shortened text in JSON's quotes."""
    return json.dumps(shorten(text), ensure_ascii=False)


def describe(value: object) -> str:
    """A short name of a JSON value for error messages, such as `the string "abc"`."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f"the string {quote(value)}"
        case int() | float():
            return f"the number {value!r}" if len(repr(value)) <= _SHOWN else "a very long number"
        case list():
            return f"a list of {len(value)}"
        case _:
            return f"an object of {len(value)} keys" if isinstance(value, dict) else repr(value)


def read_document(path: Path, *, inside: Path | None = None) -> Node:
    """Read a JSON file into a node.

    Refused, each with file and place: unreadable or missing files, pipes and devices, links that leave the folder
    `inside`, more than 64 MiB, bytes that are not UTF-8, a byte order mark, bad syntax, duplicate keys, NaN, infinities
    and numbers too large for a float, more than 64 levels of nesting.
    """
    if inside is not None:
        _refuse_link_out(path, inside)
    return parse_document(read_bytes(path), file=str(path))


def _refuse_link_out(path: Path, folder: Path) -> None:
    target = Path(os.path.realpath(path))
    if path.is_symlink() and not target.is_relative_to(os.path.realpath(folder)):
        raise DocumentError(f"{path}: a link out of its folder, to {target}")


def read_bytes(path: Path) -> bytes:
    """The whole content of a small regular file; DocumentError when it cannot be read or is larger than a document may
    be."""
    try:
        with open(path, "rb", opener=_open_at_once) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise DocumentError(f"{path}: not a regular file")
            data = stream.read(MAX_DOCUMENT_BYTES + 1)
    except OSError as error:
        raise DocumentError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_DOCUMENT_BYTES:
        raise DocumentError(f"{path}: larger than {MAX_DOCUMENT_BYTES} bytes, the limit for a document")
    return data


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting for the other end of a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def parse_document(data: bytes, *, file: str) -> Node:
    """Parse JSON bytes into a node; `file` names them in errors. Refuses what `read_document` lists."""
    if data.startswith(codecs.BOM_UTF8):  # transformers and other readers of the same files refuse it too
        raise DocumentError(f"{file}: begins with a byte order mark; save it as UTF-8 without one")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(f"{file}: byte {error.start}: not UTF-8 text") from error

    faults: list[_Fault] = []
    try:
        value = json.loads(text, **_hooks(faults))
    except json.JSONDecodeError as error:
        raise DocumentError(f"{file}: line {error.lineno} column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise DocumentError(f"{file}: nested too deeply: more than {MAX_NESTING} levels") from error
    _check_nesting(value, file)
    if faults:
        _raise_first_fault(value, file, "")
    if (
        _SURROGATE.search(text) is not None
    ):  # a pair is one character; half of one is no text and could not be written again
        try:
            dump_document(value)
        except UnicodeEncodeError as error:
            raise DocumentError(
                f"{file}: a string holds half of a surrogate pair, {error.object[error.start]!a}"
            ) from error
    return Node(value=value, file=file)


@dataclass(frozen=True, eq=False, slots=True)
class _Fault:
    """Stands in a parsed document where something was that JSON or trimoe does not allow, until its place is known."""

    message: str


def _hooks(faults: list[_Fault]) -> dict[str, Any]:
    """The hooks of json.loads that put a fault, also added to `faults`, in the place of what is refused."""

    def fault(message: str) -> _Fault:
        faults.append(_Fault(message))
        return faults[-1]

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Fault:
        found = dict(pairs)
        if len(found) == len(pairs):
            return found
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        return fault(f"the key {quote(twice)} occurs twice in one object")

    def integer(digits: str) -> int | _Fault:
        return int(digits) if len(digits) <= MAX_DIGITS else fault(f"a number of {len(digits)} digits is too large")

    def finite(digits: str) -> float | _Fault:
        number = float(digits)
        return number if math.isfinite(number) else fault(f"the number {shorten(digits)} is too large")

    return {
        "object_pairs_hook": unique,
        "parse_constant": lambda name: fault(f"{name} is not a JSON number"),
        "parse_int": integer,
        "parse_float": finite,
    }


def _raise_first_fault(value: Any, file: str, place: str) -> None:
    """Raise DocumentError for the first fault in the document, naming its place; nothing where there is none."""
    if isinstance(value, _Fault):
        Node(value=None, file=file, place=place).fail(value.message)
    if isinstance(value, dict):
        for key, item in value.items():
            named = f".{key}" if key.isidentifier() and len(key) <= _SHOWN else f"[{quote(key)}]"
            _raise_first_fault(item, file, (place + named).lstrip("."))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _raise_first_fault(item, file, f"{place}[{i}]")


def _check_nesting(value: Any, file: str) -> None:
    """Refuse what is nested deeper than code that descends into a document may rely on."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MAX_NESTING):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return
    raise DocumentError(f"{file}: nested too deeply: more than {MAX_NESTING} levels")


def dump_document(value: object) -> bytes:
    """The bytes of a JSON document as trimoe writes it: UTF-8, two-space indent, keys in the given order, final
    newline."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")


def as_json(value: Any) -> Any:
    """A config as JSON gives it back: mappings become dicts, tuples lists."""
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in value]
    return value
