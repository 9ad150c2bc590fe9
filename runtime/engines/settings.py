"""How an engine runs a family."""

from dataclasses import dataclass, field

from runtime.engines.prepared.forms import PreparedForms
from runtime.engines.trust import CheckRecords


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineSettings:
    """`dtype` says which ONNX graphs to run; the torch engine has the checkpoint's. `device` is `cpu` or `cuda:N`;
    None: the CPU for ONNX graphs, for torch CUDA where there is one. `threads` None: the engine's own number. Files are
    read against their digests and variants tested before they answer, unless `records` say that they passed on this
    machine; None: each time. `prefix_bytes` of keys and values are kept for prompts that begin as others did, by the
    ONNX engine on the CPU. Types that are fast only on packed weights run on those of `prepared`, which are made where
    they are missing; None: each variant packs for itself.
    """

    dtype: str = "float32"
    device: str | None = None
    threads: int | None = None
    records: CheckRecords | None = None
    prefix_bytes: int = 0
    prepared: PreparedForms | None = field(default_factory=PreparedForms)


DEFAULTS = EngineSettings()
