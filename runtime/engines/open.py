"""The engines by name; each imports its runtime only when it is asked for."""

from pathlib import Path

from runtime.documents.baseline import ENGINES, ONNX
from runtime.documents.manifest import Manifest
from runtime.engines.protocol import Engine
from runtime.engines.settings import DEFAULTS, EngineSettings
from runtime.errors import DocumentError, MissingPackageError


def open_engine(name: str, folder: Path, manifest: Manifest, settings: EngineSettings = DEFAULTS) -> Engine:
    """The engine called `name`, one of ENGINES, for the family in `folder`; no variant is loaded yet.

    Raises MissingPackageError when the engine's packages are not installed, DocumentError for an unknown name and when
    the family has no graphs in that type.
    """
    if name not in ENGINES:
        raise DocumentError(f"no engine {name!r}; there are {', '.join(ENGINES)}")
    try:
        if name == ONNX:
            from runtime.engines.onnx.engine import OnnxEngine

            return OnnxEngine(folder, manifest, settings)
        from runtime.engines.torch.engine import TorchEngine

        return TorchEngine(folder, manifest, device=settings.device, threads=settings.threads, records=settings.records)
    except ImportError as error:
        raise MissingPackageError.of(error, needed_by=f"the {name} engine", extras="export,cpu") from error
