"""The engines by name; each imports its runtime only when it is asked for."""

from pathlib import Path

from runtime.documents.baseline import ENGINES, ONNX
from runtime.documents.manifest import Manifest
from runtime.engines.protocol import Engine
from runtime.engines.trust import CheckRecords
from runtime.errors import DocumentError, MissingPackageError


def open_engine(
    name: str,
    folder: Path,
    manifest: Manifest,
    *,
    dtype: str = "float32",
    device: str | None = None,
    threads: int | None = None,
    records: CheckRecords | None = None,
) -> Engine:
    """The engine called `name`, one of ENGINES, for the family in `folder`; no variant is loaded yet. `dtype` says
    which ONNX graphs to run; the torch engine has the checkpoint's. `device` is `cpu` or `cuda:N`; None: the CPU for
    ONNX graphs, for torch CUDA where there is one. ONNX graphs are read against their digests and tested before they
    answer, unless `records` say that they passed on this machine; None: each time.

    Raises MissingPackageError when the engine's packages are not installed, DocumentError for an unknown name and when
    the family has no graphs in that type.
    """
    if name not in ENGINES:
        raise DocumentError(f"no engine {name!r}; there are {', '.join(ENGINES)}")
    try:
        if name == ONNX:
            from runtime.engines.onnx.engine import OnnxEngine
            from runtime.engines.onnx.session import CPU, CUDA

            provider = CUDA if device is not None and device.startswith("cuda") else CPU
            return OnnxEngine(folder, manifest, dtype=dtype, provider=provider, threads=threads, records=records)
        from runtime.engines.torch.engine import TorchEngine

        return TorchEngine(folder, manifest, device=device, threads=threads)
    except ImportError as error:
        raise MissingPackageError.of(error, needed_by=f"the {name} engine", extras="export,cpu") from error
