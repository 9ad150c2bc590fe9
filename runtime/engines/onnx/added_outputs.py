"""Adds outputs to a copy of a graph in memory: what goes on inside a decoder can then be read, with nothing but the
runtime. Pure."""

from collections.abc import Sequence

# Wire format of protobuf: field number and type, then the length. A message that comes twice is merged and its lists
# are joined, so that appending a model with a graph that has only outputs adds these outputs.
_MODEL_GRAPH = b"\x3a"  # ModelProto.graph
_GRAPH_OUTPUT = b"\x62"  # GraphProto.output
_VALUE_NAME = b"\x0a"  # ValueInfoProto.name


def with_outputs(model: bytes, names: Sequence[str]) -> bytes:
    """The serialised model with the values called `names` as further outputs; their types are left to inference."""
    outputs = b"".join(_field(_GRAPH_OUTPUT, _field(_VALUE_NAME, name.encode("utf-8"))) for name in names)
    return model + _field(_MODEL_GRAPH, outputs)


def _field(tag: bytes, data: bytes) -> bytes:
    length, size = b"", len(data)
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return tag + length + bytes([size]) + data
