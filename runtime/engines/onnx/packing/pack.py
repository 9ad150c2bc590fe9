"""Packs a family's weights for this processor: one file that begins with the family's data file, so that graphs find
their tensors where they were, and ends with what the kernels made of them."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import onnxruntime

from runtime.documents.graph_contract import CPU
from runtime.engines.onnx.packing.source import Source, covering
from runtime.engines.onnx.session import check_version, naming
from runtime.engines.prepared.document import Weights
from runtime.engines.prepared.packed_tensors import Packed, Part, packed_tensors
from runtime.errors import TargetError, VerificationError
from runtime.text.progress import Progress
from runtime.text.sizes import show_bytes

_ALIGNMENT = 4096  # of what is mapped
_CHUNK = 1 << 24
# What is on disk at last, over the data file, and at most, where a session saves all at once: its weights and what it
# packed of them, which takes a little more; the latter is then copied.
_SIZE, _PEAK = 2.2, 3.4


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedWeights:
    """The file of weights, and what in it belongs to which tensor."""

    weights: Weights
    tensors: dict[str, tuple[Packed, ...]]


def pack_weights(source: Source, target: Path, progress: Progress) -> PackedWeights:
    """Write the file `target`, durably; what is needed meanwhile stands beside it.

    `progress` is told bytes. Raises TargetError where the disk is too small, OSError, VerificationError for graphs that
    the runtime refuses, and for a data file that is not the manifest's.
    """
    chosen = covering(source.graphs)
    _check_room(source, target.parent, _SIZE if len(chosen) > 1 else _PEAK)
    tensors: dict[str, tuple[Packed, ...]] = {}
    with target.open("w+b") as file:
        file.seek(_aligned(source.data_bytes))  # the data comes last, when what sessions saved is gone
        progress.begin(f"packing {source.origin.dtype}", source.data_bytes)
        for graph in chosen:
            with TemporaryDirectory(dir=target.parent, prefix="saved-") as scratch:
                saved = _save(graph, Path(scratch))
                with saved.data.open("rb") as stream:
                    tensors |= {
                        name: _copied(stream, file, packed)
                        for name, packed in saved.tensors.items()
                        if name not in tensors
                    }
            progress.advance(source.data_bytes // len(chosen))
        size = file.tell()
        progress.begin(f"copying {source.origin.dtype}", size)
        file.seek(0)
        _copy_data(source, file)
        sha256 = _digest(file, source, progress)
        os.fsync(file.fileno())
    packed_bytes = size - _aligned(source.data_bytes)
    weights = Weights(path=target.name, size=size, packed_bytes=packed_bytes, sha256=sha256)
    return PackedWeights(weights=weights, tensors=tensors)


def _check_room(source: Source, folder: Path, share: float) -> None:
    """A disk that fills up harms others too."""
    needed, free = round(share * source.data_bytes), shutil.disk_usage(folder).free
    if free < needed:
        raise TargetError(
            f"{folder}: preparing {source.data} takes up to {show_bytes(needed)} there, {show_bytes(free)} are free"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Saved:
    """What a session saved: a file, and where in it stands what was packed of each tensor."""

    data: Path
    tensors: dict[str, tuple[Packed, ...]]


def _save(graph: Path, folder: Path) -> _Saved:
    """Open a session on the graph that saves what it packs in `folder`."""
    check_version(onnxruntime.__version__)
    model, data = folder / "model.onnx", folder / "weights.bin"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns that the graph is for this machine
    options.intra_op_num_threads = 1
    options.optimized_model_filepath = str(model)
    for name, value in {
        "session.save_external_prepacked_constant_initializers": "1",
        "session.optimized_model_external_initializers_file_name": data.name,
        "session.optimized_model_external_initializers_min_size_in_bytes": "0",
    }.items():
        options.add_session_config_entry(name, value)
    try:
        with naming(str(graph)):
            onnxruntime.InferenceSession(str(graph), options, providers=[CPU])
    except VerificationError as error:
        raise TargetError(f"{folder}: what a session packs cannot be saved there: {error}") from error
    with data.open("rb") as file:
        os.fsync(file.fileno())  # now a file system that writes later says whether it can
    return _Saved(data=data, tensors=packed_tensors(model.read_bytes()))


def _copied(saved: BinaryIO, file: BinaryIO, packed: tuple[Packed, ...]) -> tuple[Packed, ...]:
    """Append the parts to the file; where they stand there."""
    return tuple(Packed(key=one.key, parts=tuple(_append(saved, part, file) for part in one.parts)) for one in packed)


def _append(saved: BinaryIO, part: Part, file: BinaryIO) -> Part:
    offset = _aligned(file.tell())
    file.seek(offset)
    saved.seek(part.offset)
    left = part.bytes
    while left:
        chunk = saved.read(min(left, _CHUNK))
        if not chunk:
            raise VerificationError(f"{saved.name}: it ends before byte {part.offset + part.bytes}")
        file.write(chunk)
        left -= len(chunk)
    return Part(offset=offset, bytes=part.bytes)


def _copy_data(source: Source, file: BinaryIO) -> None:
    """Write the data file to where `file` stands; file systems that can share its blocks do."""
    file.flush()
    with source.data.open("rb") as data:
        try:
            while os.copy_file_range(data.fileno(), file.fileno(), 1 << 30):
                pass
        except (AttributeError, OSError):  # the system cannot, or not between these two
            data.seek(0)
            file.seek(0)
            shutil.copyfileobj(data, file, _CHUNK)
            file.flush()


def _digest(file: BinaryIO, source: Source, progress: Progress) -> str:
    """The digest of the whole file, when that of its beginning is the data file's."""
    file.seek(0)
    digest, data, place = hashlib.sha256(), hashlib.sha256(), 0
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
        data.update(chunk[: max(0, source.data_bytes - place)])
        place += len(chunk)
        progress.advance(len(chunk))
    if data.hexdigest() != source.origin.data:
        raise VerificationError(
            f"{source.data}: its sha256 is {data.hexdigest()}, the manifest has {source.origin.data}"
        )
    return digest.hexdigest()


def _aligned(place: int) -> int:
    return place + -place % _ALIGNMENT
