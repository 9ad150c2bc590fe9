"""A family prepared in all types that gain by it, each variant loaded on the result."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.documents.family_layout import graph_data_path
from runtime.documents.graph_contract import PACKED
from runtime.documents.manifest import Manifest
from runtime.engines.onnx.engine import OnnxEngine
from runtime.engines.onnx.packing.prepare import prepare
from runtime.engines.onnx.packing.source import read_source
from runtime.engines.prepared.forms import PreparedForms
from runtime.engines.settings import EngineSettings
from runtime.errors import DocumentError, VerificationError
from runtime.text.progress import Progress


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedType:
    """One type: where it is, how much was packed, whether that was `made` now and how many seconds it took when it was,
    and how many variants were loaded on it, in how many seconds."""

    dtype: str
    folder: str
    bytes: int
    packed_bytes: int
    made: bool
    seconds: float
    tested: int
    test_seconds: float


def prepare_family(
    forms: PreparedForms, folder: Path, manifest: Manifest, dtypes: Sequence[str], *, test: bool, progress: Progress
) -> tuple[PreparedType, ...]:
    """The family in `folder` prepared among `forms` in the types `dtypes` (none: all that it has and that gain by it),
    each variant then loaded, where that is asked for.

    `progress` is told bytes. Raises DocumentError for a type that the family lacks or that gains nothing, TargetError,
    VerificationError.
    """
    return tuple(
        _prepare_type(forms, folder, manifest, dtype, test=test, progress=progress)
        for dtype in _wanted(manifest, dtypes)
    )


def remove_family(forms: PreparedForms, manifest: Manifest) -> int:
    """Remove all that is prepared of the family, in whatever type and for whatever machine; returns the bytes of it.
    Raises OSError."""
    files = {record.path: record for record in manifest.files}
    return sum(forms.remove(files[path].sha256) for path in map(graph_data_path, PACKED) if path in files)


def _wanted(manifest: Manifest, dtypes: Sequence[str]) -> tuple[str, ...]:
    idle = [dtype for dtype in dtypes if dtype not in PACKED]
    if idle:
        raise DocumentError(f"{', '.join(idle)} runs on weights as they are stored: only {' and '.join(PACKED)} gain")
    paths = {record.path for record in manifest.files}
    found = tuple(dict.fromkeys(dtypes)) or tuple(dtype for dtype in PACKED if graph_data_path(dtype) in paths)
    if not found:
        raise DocumentError(f"the family has no graphs in {' or '.join(PACKED)}, the types that gain by being prepared")
    return found


def _prepare_type(
    forms: PreparedForms, folder: Path, manifest: Manifest, dtype: str, *, test: bool, progress: Progress
) -> PreparedType:
    source = read_source(folder, manifest, dtype)
    began = forms.find(source.origin)
    found = began or prepare(forms, source, progress=progress)
    start = time.perf_counter()
    if test:
        _load_all(forms, folder, manifest, dtype, progress)
    return PreparedType(
        dtype=dtype,
        folder=str(found.folder),
        bytes=found.document.weights.size,
        packed_bytes=found.document.weights.packed_bytes,
        made=began is None,
        seconds=found.document.seconds,
        tested=len(manifest.variants) if test else 0,
        test_seconds=time.perf_counter() - start if test else 0.0,
    )


def _load_all(forms: PreparedForms, folder: Path, manifest: Manifest, dtype: str, progress: Progress) -> None:
    """Load every variant on what was prepared, which repeats its golden outputs. Raises VerificationError."""
    engine = OnnxEngine(folder, manifest, EngineSettings(dtype=dtype, prepared=forms))
    try:
        progress.begin(f"testing {dtype}", sum(variant.bytes for variant in manifest.variants))
        for variant in manifest.variants:
            engine.load(variant.id)
            if not engine.shares_weights:
                raise VerificationError(f"variant {variant.id} ({dtype}) does not run on its prepared form")
            engine.unload(variant.id)
            progress.advance(variant.bytes)
    finally:
        progress.end()
        engine.close()
