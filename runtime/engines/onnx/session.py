"""Opens ONNX Runtime sessions on exported graphs: the oldest version allowed, the options that keep one copy of the
weights."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state

from runtime.documents.graph_contract import CPU, OLDEST
from runtime.errors import VerificationError

# Nodes that are slow, or copy what they read, on another provider than the one that was asked for.
HEAVY = frozenset(
    {"GroupQueryAttention", "MultiHeadAttention", "MoE", "QMoE", "MatMul", "FusedMatMul", "MatMulNBits", "Gemm"}
)
# The runtime's own errors have no common base but Exception. ValueError is what its Python side says of inputs that are
# missing.
RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    *(
        kind
        for kind in vars(onnxruntime_pybind11_state).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ),
)


def check_version(version: str) -> None:
    """Raise VerificationError when this version of ONNX Runtime is known to compute experts wrongly."""
    found = re.match(r"(\d+)\.(\d+)", version)
    wanted = OLDEST["float32"]
    if found is None or (int(found[1]), int(found[2])) < tuple(map(int, wanted.split("."))):
        raise VerificationError(
            f"onnxruntime {version}: versions before {wanted} compute mixtures of experts wrongly; install "
            f"{wanted} or newer"
        )


@contextmanager
def naming(place: str) -> Iterator[None]:
    """Turn what ONNX Runtime raises into a VerificationError that begins with `place` and gives the first line of its
    text and its version."""
    try:
        yield
    except RUNTIME_ERRORS as error:
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise VerificationError(f"{place}: onnxruntime {onnxruntime.__version__}: {text}") from error


def open_session(
    graph: Path | bytes,
    *,
    provider: str = CPU,
    threads: int | None = None,
    data_folder: Path | None = None,
    packed: bool = False,
    spinning: bool = True,
    fold_constants: bool = True,
) -> onnxruntime.InferenceSession:
    """A session on a graph file, or on the bytes of one whose external data lies in `data_folder`.

    Weights stay in the mapped file, unless they are `packed` for the kernels: a private copy for each session, without
    which quantised types are slow, and compute in float what they round otherwise (graph_contract.PACKED). `threads`
    None means one for each core; `spinning` lets idle threads burn time to start faster, which is wrong where cores are
    shared. Without `fold_constants` what a graph makes of its weights is made anew in each run and dropped after its
    use: slower, but not all of it is in memory at once. Raises VerificationError for an old runtime, for a provider
    that this build lacks, and for a graph that the runtime refuses.
    """
    check_version(onnxruntime.__version__)
    if provider not in onnxruntime.get_available_providers():
        there = ", ".join(onnxruntime.get_available_providers())
        raise VerificationError(f"onnxruntime {onnxruntime.__version__} has no {provider} here; it has {there}")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "0" if provider == CPU else "1")
    options.add_session_config_entry("session.disable_prepacking", "0" if packed else "1")
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")
    options.enable_cpu_mem_arena = False  # each session would keep the most that it ever needed
    options.enable_mem_pattern = fold_constants  # a plan of all buffers would be kept for each shape of the inputs
    if threads is not None:
        options.intra_op_num_threads = threads
    if isinstance(graph, bytes) and data_folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(data_folder))
    source = graph if isinstance(graph, bytes) else str(graph)
    disabled = [] if fold_constants else ["ConstantFolding"]
    with naming(str(graph) if isinstance(graph, Path) else f"{data_folder or 'memory'}: a graph in memory"):
        session = onnxruntime.InferenceSession(source, options, providers=[provider], disabled_optimizers=disabled)
    if provider != CPU:
        _check_placement(session, provider)
    return session


def _check_placement(session: onnxruntime.InferenceSession, provider: str) -> None:
    """Raise VerificationError where a node that multiplies by weights, or attends, does not run on `provider`, whatever
    the session calls its first provider."""
    kinds: dict[str, set[str]] = {}
    for part in session.get_provider_graph_assignment_info():
        kinds.setdefault(part.ep_name, set()).update(node.op_type for node in part.get_nodes())
    for place, found in kinds.items():
        astray = sorted(found & HEAVY)
        if astray and place != provider:
            raise VerificationError(
                f"onnxruntime {onnxruntime.__version__}: asked for {provider}, but {', '.join(astray)} run on {place}"
            )
    if provider not in kinds:
        there = ", ".join(kinds) or "nothing"
        raise VerificationError(
            f"onnxruntime {onnxruntime.__version__}: asked for {provider}, but the graph runs on {there}"
        )
