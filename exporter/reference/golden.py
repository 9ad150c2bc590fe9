"""Golden files: what each variant answers to fixed inputs, with the machine that computed it, for self-tests before
serving.

Their format is runtime/documents/torch_golden.py's.
"""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
import transformers
from safetensors import SafetensorError, safe_open

from exporter.reference.equivalence import Outputs, largest_difference, same_bits
from runtime.documents.atomic_file import write_atomically
from runtime.documents.family_layout import GOLDEN_INPUTS, golden_path
from runtime.documents.golden_outputs import KEY
from runtime.documents.graph_contract import ATTENTION_MASK, INPUT_IDS
from runtime.documents.torch_golden import (
    EXPERTS,
    FORMAT,
    LOGITS,
    POSITIONS,
    TOKENS,
    VERSION,
    GoldenHeader,
    Machine,
    allowed_difference,
    header_document,
    parse_header,
)
from runtime.errors import VerificationError

FULL_LOGITS_BYTES = 256 * 1024
LAST_POSITIONS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Golden:
    """A golden file: `logits` [rows, n, vocabulary] at `positions` [rows, n], the `tokens` [rows, n] they favour,
    `experts` by layer.

    `dtype` is the type the model computes in. Logits in bfloat16 are kept as float32, which changes none and which
    numpy can read.
    """

    variant: str
    machine: Machine
    dtype: str
    logits: torch.Tensor
    positions: torch.Tensor
    tokens: torch.Tensor
    experts: Mapping[int, torch.Tensor]


def this_machine() -> Machine:
    """The machine and libraries this process runs on."""
    return Machine(
        torch=torch.__version__,
        transformers=transformers.__version__,
        cpu=_cpu_name(),
        instructions=torch.backends.cpu.get_cpu_capability(),
        threads=torch.get_num_threads(),
    )


def _cpu_name() -> str:
    try:
        with Path("/proc/cpuinfo").open() as stream:
            for line in stream:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


def write_inputs(folder: Path, inputs: Mapping[str, torch.Tensor]) -> str:
    """Write the golden inputs of the family at `folder`; returns the path relative to it."""
    _write(folder / GOLDEN_INPUTS, inputs, {"format": FORMAT, "version": VERSION})
    return GOLDEN_INPUTS


def read_inputs(folder: Path) -> dict[str, torch.Tensor]:
    """Read the golden inputs of the family at `folder`. Raises VerificationError when they cannot be read."""
    tensors, _ = _read(folder / GOLDEN_INPUTS)
    if INPUT_IDS not in tensors or ATTENTION_MASK not in tensors:
        raise VerificationError(f"{folder / GOLDEN_INPUTS}: {INPUT_IDS} or {ATTENTION_MASK} is missing")
    return tensors


def make_golden(variant: str, outputs: Outputs, inputs: Mapping[str, torch.Tensor]) -> Golden:
    """What of `outputs` is stored: the logits at the last positions of each row, fewer of them where the vocabulary is
    large."""
    mask = inputs[ATTENTION_MASK].bool()
    shortest = int(mask.sum(dim=-1).min())
    full = outputs.logits[0, 0].nbytes * len(mask) * shortest
    positions = last_positions(mask, shortest if full <= FULL_LOGITS_BYTES else min(shortest, LAST_POSITIONS))
    logits = as_stored(pick(outputs.logits, positions))
    return Golden(
        variant=variant,
        machine=this_machine(),
        dtype=str(outputs.logits.dtype).removeprefix("torch."),
        logits=logits,
        positions=positions,
        tokens=logits.argmax(dim=-1),
        experts={layer: ids.to(torch.int16) for layer, ids in enumerate(outputs.experts) if ids is not None},
    )


def last_positions(mask: torch.Tensor, count: int) -> torch.Tensor:
    """The last `count` real positions of each row of a mask [rows, length] padded on the right: [rows, count]."""
    ends = mask.sum(dim=-1, keepdim=True)
    return ends - count + torch.arange(count)


def pick(logits: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """The logits [rows, n, vocabulary] at positions [rows, n]."""
    return logits[torch.arange(len(positions))[:, None], positions].contiguous()


def as_stored(logits: torch.Tensor) -> torch.Tensor:
    """Logits in the type in which golden files keep them."""
    return logits.float() if logits.dtype == torch.bfloat16 else logits


def write_golden(folder: Path, golden: Golden) -> str:
    """Write golden/<id>.safetensors of the family at `folder`; returns the path relative to it."""
    path = golden_path(golden.variant)
    tensors = {LOGITS: golden.logits, POSITIONS: golden.positions, TOKENS: golden.tokens}
    tensors |= {f"{EXPERTS}{layer}": ids for layer, ids in golden.experts.items()}
    header = GoldenHeader(variant=golden.variant, machine=golden.machine, dtype=golden.dtype)
    _write(folder / path, tensors, header_document(header))
    return path


def read_golden(path: Path) -> Golden:
    """Read a golden file. Raises VerificationError naming file and place when it is not one."""
    tensors, text = _read(path)
    header = parse_header(text, path=path)
    try:
        return Golden(
            variant=header.variant,
            machine=header.machine,
            dtype=header.dtype,
            logits=tensors[LOGITS],
            positions=tensors[POSITIONS],
            tokens=tensors[TOKENS],
            experts={
                int(name.removeprefix(EXPERTS)): tensor for name, tensor in tensors.items() if name.startswith(EXPERTS)
            },
        )
    except (KeyError, ValueError) as error:
        raise VerificationError(f"{path}: not a golden file: {error}") from error


def compare_golden(golden: Golden, outputs: Outputs, inputs: Mapping[str, torch.Tensor]) -> str:
    """Compare a variant's outputs with its golden file; returns a sentence saying how equal they are.

    On the machine that is recorded, with its threads and library versions, logits, tokens and experts must be equal bit
    by bit; elsewhere the logits must agree within the tolerance of their type. Raises VerificationError with the
    largest difference.
    """
    found = make_golden(golden.variant, outputs, inputs)
    if found.dtype != golden.dtype:
        raise VerificationError(
            f"variant {golden.variant}: computes in {found.dtype}, the golden file in {golden.dtype}"
        )
    if not torch.equal(found.positions, golden.positions) or found.logits.shape != golden.logits.shape:
        raise VerificationError(
            f"variant {golden.variant}: the golden file has logits {list(golden.logits.shape)}, computed "
            f"{list(found.logits.shape)}"
        )
    if found.machine != golden.machine:
        changed = [
            name for name in Machine.__struct_fields__ if getattr(found.machine, name) != getattr(golden.machine, name)
        ]
        return compare_loosely(golden, found.logits, because=f"other {', '.join(changed)} than recorded")
    if not same_bits(golden.logits, found.logits):
        delta = largest_difference(golden.logits, found.logits)
        raise VerificationError(
            f"variant {golden.variant}: logits differ from {golden_path(golden.variant)}, max |Δ| {delta:.3g}"
        )
    if not torch.equal(golden.tokens, found.tokens):
        raise VerificationError(f"variant {golden.variant}: the golden tokens are not those of the golden logits")
    if golden.experts.keys() != found.experts.keys():
        raise VerificationError(
            f"variant {golden.variant}: experts at layers {sorted(found.experts)}, golden at {sorted(golden.experts)}"
        )
    for layer, ids in found.experts.items():
        if not torch.equal(golden.experts[layer], ids):
            raise VerificationError(
                f"variant {golden.variant}: layer {layer} chooses other experts than the golden file says"
            )
    return "bitwise equal to the golden outputs"


def compare_loosely(golden: Golden, logits: torch.Tensor, *, because: str) -> str:
    """Compare logits with the golden ones within the tolerance of their type; returns a sentence. Raises
    VerificationError beyond it."""
    delta = largest_difference(golden.logits, logits)
    limit = allowed_difference(golden.dtype) * golden.logits.double().abs().max().item()
    if not delta <= limit:
        raise VerificationError(
            f"variant {golden.variant}: max |Δ| of the logits {delta:.3g}, allowed {limit:.3g} ({because})"
        )
    return f"max |Δ| {delta:.2g} ≤ {limit:.2g} ({because})"


def _write(path: Path, tensors: Mapping[str, torch.Tensor], header: Mapping[str, object]) -> None:
    # One metadata entry: safetensors writes several in an order that changes from run to run.
    metadata = {KEY: json.dumps(header, sort_keys=True, ensure_ascii=False)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(
        path, safetensors.torch.save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata)
    )


def _read(path: Path) -> tuple[dict[str, torch.Tensor], str]:
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(KEY)
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise VerificationError(f"{path}: cannot be read: {error}") from error
    if header is None:
        raise VerificationError(f"{path}: not a golden file: its metadata has no {KEY!r}")
    return tensors, header
