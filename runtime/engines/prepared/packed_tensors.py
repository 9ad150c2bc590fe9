"""Packed weights as ONNX Runtime notes them in a graph: read from one that it saved, added to another. Pure.

A kernel packs an initialiser in its own way. A session that saves its graph may write what was packed into the file of
external data, and notes it in the initialiser's external data under a key that begins with `prepacked`: the operator
and a digest of what was packed, then offset and bytes of each part (onnxruntime/core/framework/
tensor_external_data_info.cc, at 1.31). A session on a graph with such notes packs too, compares the digests, and where
they are equal drops its own copy and maps the file's: notes that do not fit cost memory, they change no answer.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from runtime.documents.schema import Natural
from runtime.engines.prepared.wire import field, fields
from runtime.errors import VerificationError

# https://github.com/onnx/onnx/blob/v1.18.0/onnx/onnx.proto
_MODEL_GRAPH = 7
_GRAPH_INITIALIZER = 5
_TENSOR_NAME, _TENSOR_EXTERNAL_DATA = 8, 13
_ENTRY_KEY, _ENTRY_VALUE = 1, 2

_PACKED = "prepacked"
_NO_CHECKSUM = "0"  # the runtime writes none and reads none


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A piece of the file of weights."""

    offset: Natural
    bytes: Natural


class Packed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator packed of a tensor: the runtime's key for it, and where its parts stand."""

    key: str
    parts: tuple[Part, ...]


def tensor_names(model: bytes) -> frozenset[str]:
    """The names of the model's initialisers in its data file. Raises VerificationError for what is no model."""
    return frozenset(_name(tensor) for tensor in _initializers(model) if any(_values(tensor, _TENSOR_EXTERNAL_DATA)))


def packed_tensors(model: bytes) -> dict[str, tuple[Packed, ...]]:
    """What was packed of each initialiser of a saved model, by name. Raises VerificationError for what is none."""
    found = {_name(tensor): tuple(_packed(tensor)) for tensor in _initializers(model)}
    return {name: packed for name, packed in found.items() if packed}


def with_packed(model: bytes, packed: Mapping[str, Sequence[Packed]]) -> bytes:
    """The model whose initialisers have these notes, as far as it has those of these names. A key stands at the first
    of the tensors that have it, where equal tensors are packed to the same: the runtime takes it once."""
    taken: set[str] = set()
    return _changed(model, _MODEL_GRAPH, lambda graph: _graph(graph, packed, taken))


def _changed(message: bytes, number: int, change: Callable[[bytes], bytes]) -> bytes:
    """The message with each value of that field changed."""
    found = fields(message)
    return b"".join(field(number, change(one.value or b"")) if one.number == number else one.raw for one in found)


def _graph(graph: bytes, packed: Mapping[str, Sequence[Packed]], taken: set[str]) -> bytes:
    return _changed(graph, _GRAPH_INITIALIZER, lambda tensor: _tensor(tensor, packed, taken))


def _tensor(tensor: bytes, packed: Mapping[str, Sequence[Packed]], taken: set[str]) -> bytes:
    notes = [one for one in packed.get(_name(tensor), ()) if one.key not in taken]
    taken.update(one.key for one in notes)
    return tensor + b"".join(_note(f"{_PACKED}_{number}", one) for number, one in enumerate(notes))


def _note(key: str, packed: Packed) -> bytes:
    parts = (f"{part.offset};{part.bytes};{_NO_CHECKSUM}" for part in packed.parts)
    value = "|".join((packed.key, *parts))
    entry = field(_ENTRY_KEY, key.encode()) + field(_ENTRY_VALUE, value.encode())
    return field(_TENSOR_EXTERNAL_DATA, entry)


def _initializers(model: bytes) -> Iterable[bytes]:
    return (tensor for graph in _values(model, _MODEL_GRAPH) for tensor in _values(graph, _GRAPH_INITIALIZER))


def _packed(tensor: bytes) -> Iterable[Packed]:
    for entry in _values(tensor, _TENSOR_EXTERNAL_DATA):
        key, value = (b"".join(_values(entry, number)).decode() for number in (_ENTRY_KEY, _ENTRY_VALUE))
        if key.startswith(_PACKED):
            yield _read_note(value)


def _read_note(value: str) -> Packed:
    key, *parts = value.split("|")
    try:
        sizes = [tuple(map(int, part.split(";")[:2])) for part in parts]
        return Packed(key=key, parts=tuple(Part(offset=offset, bytes=count) for offset, count in sizes))
    except ValueError as error:
        raise VerificationError(f"{value!r} is no note of packed weights that this can read") from error


def _name(tensor: bytes) -> str:
    return b"".join(_values(tensor, _TENSOR_NAME)).decode()


def _values(message: bytes, number: int) -> Iterable[bytes]:
    return (one.value for one in fields(message) if one.number == number and one.value is not None)
