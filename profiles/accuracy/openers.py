"""The engines of evaluation by name; each imports its runtime only when it is asked for."""

from collections.abc import Sequence
from pathlib import Path

from profiles.accuracy.engine import EngineOpener
from profiles.errors import MissingToolError
from runtime.documents.baseline import ONNX
from runtime.documents.manifest import Manifest


def open_engines(
    names: Sequence[str], folder: Path, manifest: Manifest, *, dtypes: Sequence[str], threads: int | None = None
) -> tuple[tuple[str, EngineOpener], ...]:
    """How to open variants of the family in `folder`, for each engine, the ONNX engine once for each of `dtypes`.

    Raises MissingToolError when an engine's packages are not installed, DocumentError when the family has no graphs in
    a dtype.
    """
    found: list[tuple[str, EngineOpener]] = []
    for name in names:
        try:
            if name == ONNX:
                from profiles.accuracy.onnx_engine import OnnxOpener

                found += [(name, OnnxOpener(folder, manifest, dtype=dtype, threads=threads)) for dtype in dtypes]
            else:
                from profiles.accuracy.torch_engine import TorchOpener

                found.append((name, TorchOpener(folder, manifest, threads=threads)))
        except ImportError as error:
            needed = f"the {name} engine needs the package {error.name}, which is not installed"
            raise MissingToolError(f"{needed}: pip install 'trimoe[profiles,cpu]'") from error
    return tuple(found)
