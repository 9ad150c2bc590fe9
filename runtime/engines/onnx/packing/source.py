"""What a prepared form is made of: a family's graphs in one type, their data file, and this machine."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import onnxruntime

from runtime.documents.family_digest import family_digest
from runtime.documents.family_files import FamilyFiles
from runtime.documents.family_layout import EMBEDDINGS, VISION, graph_data_path, graph_folder, graph_path
from runtime.documents.manifest import FileRecord, Manifest
from runtime.engines.machine import features, processors
from runtime.engines.prepared.document import Origin
from runtime.engines.prepared.packed_tensors import tensor_names
from runtime.errors import DocumentError


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """`data` and `graphs` are files; the smallest graphs come first, those of blocks where there are some. `decoders`
    are whole variants, the largest first."""

    origin: Origin
    data: Path
    data_bytes: int
    graphs: tuple[Path, ...]
    decoders: tuple[Path, ...]


def read_source(folder: Path, manifest: Manifest, dtype: str) -> Source:
    """What there is to prepare in `folder`, a family or a copy of a variant. Raises DocumentError when it has no graphs
    in that type."""
    place = FamilyFiles(folder).place
    graphs = _graphs(manifest, dtype)
    data = next((record for record in manifest.files if record.path == graph_data_path(dtype)), None)
    if data is None or not graphs:
        raise DocumentError(f"{folder}: its manifest lists no graphs in {dtype}")
    variants = {graph_path(dtype, one.id) for one in manifest.variants}
    of_graphs = json.dumps([record.sha256 for record in graphs]).encode()
    return Source(
        origin=Origin(
            dtype=dtype,
            family=family_digest(manifest.files, manifest.variants),
            data=data.sha256,
            graphs=hashlib.sha256(of_graphs).hexdigest(),
            onnxruntime=onnxruntime.__version__,
            processor=(*processors(), *features()),
        ),
        data=place(data.path),
        data_bytes=data.size,
        graphs=tuple(place(record.path) for record in graphs),
        decoders=tuple(place(record.path) for record in reversed(graphs) if record.path in variants),
    )


def _graphs(manifest: Manifest, dtype: str) -> list[FileRecord]:
    """All graphs over the data file but those in front of the decoders, which are never quantised."""
    folder, shared = graph_folder(dtype), {graph_path(dtype, name) for name in (EMBEDDINGS, VISION)}
    found = (record for record in manifest.files if PurePosixPath(record.path).match(f"{folder}/*.onnx"))
    return sorted((one for one in found if one.path not in shared), key=lambda one: (one.size, one.path))


def covering(graphs: Sequence[Path]) -> tuple[Path, ...]:
    """As many of the graphs, in their order, as have together all tensors that any of them has. Raises OSError,
    VerificationError for a file that is no graph."""
    known: set[str] = set()
    chosen = []
    for graph in graphs:
        names = tensor_names(graph.read_bytes())
        if not names <= known:
            chosen.append(graph)
            known |= names
    return tuple(chosen)
