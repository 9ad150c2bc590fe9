"""The header of a safetensors file, read strictly: which tensors it holds and where their bytes stand.

Format: https://github.com/huggingface/safetensors/blob/main/README.md#format
"""

import hashlib
import os
import stat
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from exporter.checkpoint.lfs_pointer import BEGINNING, refuse_pointer
from runtime.documents.checked_json import Node, parse_document
from runtime.errors import CheckpointError, DocumentError

MAX_HEADER_BYTES = 100_000_000
METADATA_KEY = "__metadata__"
DTYPE_BITS = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "U16": 16,
    "I16": 16,
    "F16": 16,
    "BF16": 16,
    "U32": 32,
    "I32": 32,
    "F32": 32,
    "U64": 64,
    "I64": 64,
    "F64": 64,
    "C64": 64,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorRecord:
    """One tensor of a safetensors file: `dtype` as the file spells it ("F32"), `begin`/`end` absolute byte offsets in
    `file`."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: str
    begin: int
    end: int

    @property
    def bytes(self) -> int:
        """The tensor's size on disk in bytes."""
        return self.end - self.begin

    @property
    def parameters(self) -> int:
        """The number of elements."""
        count = 1
        for size in self.shape:
            count *= size
        return count


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFile:
    """One safetensors file of the source: size in bytes, modification time in ns and inode at reading, sha256 of its
    header bytes."""

    name: str
    size: int
    mtime_ns: int
    inode: int
    header_sha256: str


def read_header(path: Path) -> tuple[tuple[TensorRecord, ...], str, dict[str, str]]:
    """The tensors of a safetensors file in file order, the sha256 of its header (length field and JSON), and its
    metadata.

    Raises CheckpointError, naming file and tensor, for anything the format does not allow: see `parse_header`.
    """
    source, tensors, metadata = read_source_file(path)
    return tensors, source.header_sha256, metadata


def read_source_file(path: Path) -> tuple[SourceFile, tuple[TensorRecord, ...], dict[str, str]]:
    """Like `read_header`, with size, time and inode of the very file that was read. Links are followed; only regular
    files are read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise CheckpointError(f"{path}: not a regular file")
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            length_field, text = _header_bytes(stream, path, status.st_size)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    tensors, metadata = parse_header(text, path=path, file_size=status.st_size)
    source = SourceFile(
        name=path.name,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        inode=status.st_ino,
        header_sha256=hashlib.sha256(length_field + text).hexdigest(),
    )
    return source, tensors, metadata


def _header_bytes(stream: BufferedReader, path: Path, size: int) -> tuple[bytes, bytes]:
    refuse_pointer(path, stream.peek(len(BEGINNING)))
    if size < 8:
        raise CheckpointError(
            f"{path}: {size} bytes are too few for a safetensors file, which begins with 8 bytes of header length"
        )
    length_field = stream.read(8)
    length = int.from_bytes(length_field, "little")
    if length > MAX_HEADER_BYTES:
        raise CheckpointError(f"{path}: the header claims {length} bytes; the limit is {MAX_HEADER_BYTES}")
    if 8 + length > size:
        raise CheckpointError(
            f"{path}: the header claims bytes 8–{8 + length}, but the file ends at {size}: truncated or not safetensors"
        )
    text = stream.read(length)
    if len(text) != length:
        raise CheckpointError(f"{path}: only {len(text)} of {length} header bytes could be read")
    return length_field, text


def parse_header(text: bytes, *, path: Path, file_size: int) -> tuple[tuple[TensorRecord, ...], dict[str, str]]:
    """Parse the JSON of a header (without its length field) of a file of `file_size` bytes.

    Refused: text that is not UTF-8 JSON or does not begin with "{", a tensor named twice, an unknown dtype, a shape
    that is not a list of integers ≥ 0, a byte range that does not fit dtype and shape, ranges that overlap, leave
    holes, or end before or after the file does.
    """
    if not text.startswith(b"{"):
        raise CheckpointError(f"{path}: the header does not begin with an opening brace: not a safetensors file")
    try:
        node = parse_document(text, file=f"{path}: header")
        metadata = _metadata(node)
        data_begin = 8 + len(text)
        tensors = tuple(_tensor(name, entry, path, data_begin) for name, entry in node.items() if name != METADATA_KEY)
    except DocumentError as error:
        raise CheckpointError(str(error)) from error
    _check_coverage(tensors, path, data_begin, file_size)
    return tensors, metadata


def _metadata(node: Node) -> dict[str, str]:
    entry = node.get(METADATA_KEY)
    return {} if entry is None else {key: value.string() for key, value in entry.items()}


def _tensor(name: str, entry: Node, path: Path, data_begin: int) -> TensorRecord:
    for key, _ in entry.items():
        if key not in ("dtype", "shape", "data_offsets"):
            entry.fail(f'the key "{key}" is unknown')
    dtype = entry.require("dtype").string()
    if dtype not in DTYPE_BITS:
        entry.require("dtype").fail(f'unknown dtype "{dtype}"')
    shape = tuple(size.integer(minimum=0) for size in entry.require("shape").elements())
    offsets = entry.require("data_offsets")
    if len(offsets.elements()) != 2:
        offsets.fail(f"expected begin and end, found {len(offsets.elements())} numbers")
    begin, end = (offset.integer(minimum=0) for offset in offsets.elements())
    if end < begin:
        offsets.fail(f"ends at {end}, before it begins at {begin}")
    record = TensorRecord(
        name=name, dtype=dtype, shape=shape, file=path.name, begin=data_begin + begin, end=data_begin + end
    )
    bits = record.parameters * DTYPE_BITS[dtype]
    if bits % 8:
        entry.fail(f"{record.parameters} elements of {DTYPE_BITS[dtype]} bits do not fill whole bytes")
    if bits // 8 != record.bytes:
        entry.fail(
            f"{dtype} of shape {list(shape)} takes {bits // 8} bytes, data_offsets [{begin}, {end}] span {record.bytes}"
        )
    return record


def _check_coverage(tensors: tuple[TensorRecord, ...], path: Path, data_begin: int, file_size: int) -> None:
    at, before = data_begin, "the header"
    for tensor in sorted(tensors, key=lambda t: (t.begin, t.end)):
        if tensor.begin < at:
            raise CheckpointError(
                f'{path}: tensor "{tensor.name}": begins at byte '
                f"{tensor.begin}, overlapping {before}, which ends at {at}"
            )
        if tensor.begin > at:
            raise CheckpointError(
                f'{path}: bytes {at}–{tensor.begin} between {before} and tensor "{tensor.name}" belong to no tensor'
            )
        if tensor.end > file_size:
            raise CheckpointError(
                f'{path}: tensor "{tensor.name}": ends at byte {tensor.end}, '
                f"but the file ends at {file_size}: truncated"
            )
        at, before = tensor.end, f'tensor "{tensor.name}"'
    if at != file_size:
        raise CheckpointError(f"{path}: bytes {at}–{file_size} after {before} belong to no tensor")
