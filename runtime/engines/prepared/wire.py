"""Protobuf's wire format, as far as graphs are read and changed with nothing but the runtime. Pure.

A field is a tag (its number and wire type), then its value; a message is its fields, one behind the other
(https://protobuf.dev/programming-guides/encoding/).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from runtime.errors import VerificationError

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """A field of a message: its number, all its bytes, and its value where that is a message, a string or bytes (None:
    a number)."""

    number: int
    raw: bytes
    value: bytes | None


def fields(message: bytes) -> Iterator[Field]:
    """The fields of a message in their order. Raises VerificationError for what is none."""
    place = 0
    while place < len(message):
        begin = place
        tag, place = _varint(message, place)
        value, kind = None, tag & 7
        if kind == _LENGTH:
            length, start = _varint(message, place)
            place = start + length
            value = message[start:place]
        elif kind == _VARINT:
            _, place = _varint(message, place)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            place += 8 if kind == _EIGHT_BYTES else 4
        else:
            raise VerificationError(f"byte {begin} of a message begins no field")
        if place > len(message):
            raise VerificationError(f"the field at byte {begin} ends behind its message of {len(message)} bytes")
        yield Field(number=tag >> 3, raw=message[begin:place], value=value)


def field(number: int, value: bytes) -> bytes:
    """A field that is a message, a string or bytes."""
    return _bytes(number << 3 | _LENGTH) + _bytes(len(value)) + value


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """The number that begins at `place`, and the place behind it."""
    number = shift = 0
    while place < len(message) and shift < 64:
        byte = message[place]
        number, place, shift = number | (byte & 127) << shift, place + 1, shift + 7
        if byte < 128:
            return number, place
    raise VerificationError(f"a number at byte {place} of a message has no end")


def _bytes(number: int) -> bytes:
    """A number as a varint."""
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])
