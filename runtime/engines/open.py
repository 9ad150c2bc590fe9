"""The engines by name; each imports its runtime only when it is asked for."""

from dataclasses import dataclass
from pathlib import Path

from runtime.documents.baseline import ENGINES, ONNX
from runtime.documents.graph_contract import CPU, CUDA
from runtime.documents.manifest import Manifest
from runtime.engines.protocol import Engine
from runtime.engines.trust import CheckRecords
from runtime.errors import DocumentError, MissingPackageError


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineSettings:
    """How an engine runs a family.

    `dtype` says which ONNX graphs to run; the torch engine has the checkpoint's. `device` is `cpu` or `cuda:N`; None:
    the CPU for ONNX graphs, for torch CUDA where there is one. `threads` None: the engine's own number. Files are read
    against their digests and variants tested before they answer, unless `records` say that they passed on this machine;
    None: each time. `prefix_bytes` of keys and values are kept for prompts that begin as others did, by the ONNX engine
    on the CPU.
    """

    dtype: str = "float32"
    device: str | None = None
    threads: int | None = None
    records: CheckRecords | None = None
    prefix_bytes: int = 0


DEFAULTS = EngineSettings()


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

            return OnnxEngine(
                folder,
                manifest,
                dtype=settings.dtype,
                provider=CUDA if (settings.device or "").startswith("cuda") else CPU,
                threads=settings.threads,
                prefix_bytes=settings.prefix_bytes,
                records=settings.records,
            )
        from runtime.engines.torch.engine import TorchEngine

        return TorchEngine(folder, manifest, device=settings.device, threads=settings.threads, records=settings.records)
    except ImportError as error:
        raise MissingPackageError.of(error, needed_by=f"the {name} engine", extras="export,cpu") from error
