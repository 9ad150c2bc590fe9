"""Our documents as declared types: the kinds of fields they share, and checked JSON turned into a declared type.

A document is an object with the keys `format` and `version`, and no key that its type does not declare. Types are
msgspec Structs, converted strictly: nothing is taken for what it is not, but an integer for a float.
"""

import re
from typing import Annotated, Any, NoReturn, TypeVar

import msgspec

from runtime.documents.checked_json import Node, describe, quote, shorten

_SHA256 = r"\A[0-9a-f]{64}\Z"
_PLAIN_NAME = r"\A[A-Za-z0-9][A-Za-z0-9._-]*\Z"
_SEGMENT = r"(?!\.\.?(?:/|\Z))[^/\\\x00-\x1f\x7f-\x9f]+"
_RELATIVE_PATH = rf"\A{_SEGMENT}(?:/{_SEGMENT})*\Z"

Sha256 = Annotated[str, msgspec.Meta(pattern=_SHA256)]
PlainName = Annotated[str, msgspec.Meta(pattern=_PLAIN_NAME)]
RelativePath = Annotated[str, msgspec.Meta(pattern=_RELATIVE_PATH)]
Natural = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Fraction = Annotated[float, msgspec.Meta(ge=-1, le=1)]

_Declared = TypeVar("_Declared")
_KINDS = {
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_LIMITS = {
    ">=": "is below the least allowed,",
    "<=": "is above the greatest allowed,",
    ">": "is not above",
    "<": "is not below",
}
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]|\[\.\.\.\]")
_UNKNOWN_KEY = re.compile(r"Object contains unknown field `([^`]*)`(?: - at `\$(.*)`)?", re.DOTALL)
_MISSING_KEY = re.compile(r"Object missing required field `(\w+)`")
_WRONG_TYPE = re.compile(r"Expected `([\w |]+)`, got `\w+`")
_WRONG_PATTERN = "Expected `str` matching regex "
_BEYOND_LIMIT = re.compile(r"Expected `\w+` (>=|<=|>|<) (\S+)")


def read_fields(node: Node, *, format: str, version: int, what: str) -> Node:
    """The document without its format and version, once they are the ones asked for; `what` it has to be, in words.

    Raises DocumentError for another format, saying that this is not `what`, and for another version.
    """
    if node.require("format").string() != format:
        node.require("format").fail(f"expected {format!r}: this is not {what}")
    found = node.require("version").integer()
    if found != version:
        node.require("version").fail(f"this trimoe reads version {version}, the file has {shorten(str(found))}")
    return node.without("format", "version")


def convert(node: Node, kind: type[_Declared]) -> _Declared:
    """The node as a value of a declared type, a msgspec Struct. Raises DocumentError naming file and key path.

    Keys that are missing or not declared, values of another type (an integer is a float, nothing else is converted) and
    values beyond a field's limits are refused. Objects of free keys are declared as `Mapping[str, str]`.
    """
    try:
        return msgspec.convert(node.value, kind, strict=True)
    except msgspec.ValidationError as error:
        _refuse(node, str(error))


def fields_of(value: msgspec.Struct) -> dict[str, Any]:
    """A declared value as `dump_document` writes it, under its names on disk.

    Subclasses of str and float, such as torch's version and numpy's float64, become what they stand for. Raises
    TypeError for what JSON does not have.
    """
    fields: dict[str, Any] = msgspec.to_builtins(value, enc_hook=_plain)
    return fields


def _plain(value: object) -> str | float:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return float(value)
    raise TypeError(f"{type(value).__name__} is no type of JSON")


def relative_path(node: Node) -> str:
    """The node as a POSIX path that stays inside a folder: relative, without `.`, `..`, `\\`, control characters or an
    empty part. Raises DocumentError for anything else."""
    text = node.string()
    if re.search(_RELATIVE_PATH, text) is None:
        _refuse_pattern(node, _RELATIVE_PATH)
    return text


def _refuse(node: Node, message: str) -> NoReturn:
    """Say what msgspec's message says, in our words and with the key path in ours."""
    if message.startswith("Object contains unknown field"):
        _refuse_key(node, message)
    text, found = message, node
    if " - at `$" in message:
        text, _, path = message.rpartition(" - at `$")
        found = _follow(node, path)
    if missing := _MISSING_KEY.fullmatch(text):
        found.require(missing[1])
    if wrong := _WRONG_TYPE.fullmatch(text):
        kinds = " or ".join(_KINDS.get(kind, kind) for kind in wrong[1].split(" | "))
        found.fail(f"expected {kinds}, found {describe(found.value)}")
    if beyond := _BEYOND_LIMIT.fullmatch(text):
        found.fail(f"{shorten(str(found.value))} {_LIMITS[beyond[1]]} {beyond[2]}")
    if text == "Number out of range":
        found.fail("the number is too large")
    for pattern in (_SHA256, _PLAIN_NAME, _RELATIVE_PATH):
        if text == f"{_WRONG_PATTERN}{pattern!r}":
            _refuse_pattern(found, pattern)
    found.fail(text)


def _refuse_key(node: Node, message: str) -> NoReturn:
    """Name the unknown key and its place, where they can be told apart in msgspec's message: the key is whatever text
    somebody wrote."""
    if unknown := _UNKNOWN_KEY.fullmatch(message):
        found = _follow(node, unknown[2] or "")
        if isinstance(found.value, dict) and unknown[1] in found.value:
            found.fail(f"the key {quote(unknown[1])} is unknown")
    node.fail("a key of it or below it is unknown")


def _refuse_pattern(node: Node, pattern: str) -> NoReturn:
    if pattern == _SHA256:
        node.fail("expected 64 lower-case hexadecimal digits")
    if pattern == _PLAIN_NAME:
        node.fail(f"{quote(node.string())} is not a plain name of letters, digits, '.', '-' and '_'")
    node.fail(f"{shorten(node.string())!r} is not a plain relative path inside the folder")


def _follow(node: Node, path: str) -> Node:
    """The node at msgspec's path below `node`, such as `.scores[1].dataset`, or as far on the way as there is one;
    `[...]` is the first value of a mapping that is no string."""
    for step in _STEP.finditer(path):
        key, index = step.groups()
        found = None
        if isinstance(node.value, dict):
            found = node.get(key or next((key for key, value in node.value.items() if not isinstance(value, str)), ""))
        elif isinstance(node.value, list) and index is not None:
            found = next(iter(node.elements()[int(index) :]), None)
        if found is None:
            break
        node = found
    return node
