"""Write a checkpoint of random weights in a real model's layout, streaming, marked as synthetic: for benchmarks and
sizing."""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.checkpoint.checkpoint import INDEX
from exporter.family.disk_space import check_space, writing
from exporter.family.records import SYNTHETIC_KEY
from exporter.family.rename import publish
from exporter.family.staging import Staging
from exporter.family.target_folder import check_new_folder, make_parent
from exporter.family.variant_folder import shard_name
from exporter.synth.layouts import Sizes, SynthLayout
from exporter.weights.aligned_file import AlignedBuffer
from exporter.weights.pipeline import CHUNK_BYTES
from exporter.weights.shard_layout import header_bytes
from exporter.weights.weights_file import WeightsFile
from runtime.documents.atomic_file import sync_folder, write_atomically
from runtime.documents.checked_json import dump_document
from runtime.engines.bfloat16 import to_bits
from runtime.errors import PlanError
from runtime.text.progress import Progress

DTYPES: Mapping[str, tuple[str, int]] = {"float32": ("F32", 4), "bfloat16": ("BF16", 2), "float16": ("F16", 2)}
INIT_STD = 0.02
DEFAULT_MAX_SHARD_BYTES = 5_000_000_000
_ELEMENTS = 1 << 20
_MAX_HIDDEN = 1 << 16


@dataclass(frozen=True, kw_only=True, slots=True)
class SynthPlan:
    """What a synthetic checkpoint will be: its config, and for each of its files the tensors (name, shape) in order."""

    config: Mapping[str, Any]
    dtype: str
    seed: int
    shards: tuple[tuple[tuple[str, tuple[int, ...]], ...], ...]

    @property
    def parameters(self) -> int:
        """The number of elements of all tensors."""
        return sum(math.prod(shape) for shard in self.shards for _, shape in shard)

    @property
    def bytes(self) -> int:
        """The bytes of all tensors."""
        return self.parameters * DTYPES[self.dtype][1]


def plan_synth(
    layout: SynthLayout,
    sizes: Sizes,
    *,
    dtype: str | None = None,
    seed: int = 0,
    near_bytes: int | None = None,
    max_shard_bytes: int = DEFAULT_MAX_SHARD_BYTES,
) -> SynthPlan:
    """Decide a synthetic checkpoint. `near_bytes` chooses the hidden size whose tensors come closest to that many
    bytes.

    Raises PlanError for sizes the layout cannot have.
    """
    kind = layout.dtype if dtype is None else dtype
    if near_bytes is not None:
        if sizes.hidden is not None:
            raise PlanError("give a hidden size or a number of bytes, not both")
        sizes = _fit_hidden(layout, sizes, near_bytes / DTYPES[kind][1])
    config = layout.resized(sizes)
    shards = tuple(_split(layout.shapes(config), DTYPES[kind][1], max_shard_bytes))
    return SynthPlan(config={**config, "dtype": kind, SYNTHETIC_KEY: True}, dtype=kind, seed=seed, shards=shards)


def _fit_hidden(layout: SynthLayout, sizes: Sizes, elements: float) -> Sizes:
    def count(steps: int) -> int:
        return sum(math.prod(shape) for _, shape in layout.shapes(layout.resized(with_hidden(steps))))

    def with_hidden(steps: int) -> Sizes:
        return Sizes(
            blocks=sizes.blocks, experts=sizes.experts, vocabulary=sizes.vocabulary, hidden=steps * layout.hidden_step
        )

    low, high = 1, _MAX_HIDDEN // layout.hidden_step
    if not count(low) / 2 < elements <= count(high):
        raise PlanError(
            f"cannot come near that many bytes: {layout.name} at "
            f"these sizes has {count(low):,} to {count(high):,} parameters"
        )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) <= elements else (low, middle)
    return with_hidden(min(low, high, key=lambda steps: abs(count(steps) - elements)))


def _split(
    shapes: Iterator[tuple[str, tuple[int, ...]]], item_bytes: int, max_shard_bytes: int
) -> Iterator[tuple[tuple[str, tuple[int, ...]], ...]]:
    """Fill shards in order up to the limit; a tensor larger than the limit gets a shard of its own."""
    shard: list[tuple[str, tuple[int, ...]]] = []
    filled = 0
    for name, shape in shapes:
        size = math.prod(shape) * item_bytes
        if shard and filled + size > max_shard_bytes:
            yield tuple(shard)
            shard, filled = [], 0
        shard.append((name, shape))
        filled += size
    yield tuple(shard)


def write_synth(plan: SynthPlan, target: Path, *, progress: Progress) -> None:
    """Write the checkpoint to `target`, a missing or empty folder, in one visible step. Raises TargetError."""
    check_new_folder(target, None)
    make_parent(target)
    try:
        with Staging(target) as staging, writing(staging.path, plan.bytes):
            staging.resume("synthetic checkpoint")
            check_space(staging.family, plan.bytes)
            progress.begin("writing", plan.bytes)
            _write_files(plan, staging.family, progress)
            publish(staging.family, target)
            staging.remove()
    finally:
        progress.end()


def _write_files(plan: SynthPlan, folder: Path, progress: Progress) -> None:
    buffer = AlignedBuffer(CHUNK_BYTES)
    count = len(plan.shards)
    names = ["model.safetensors"] if count == 1 else [shard_name(number, count) for number in range(1, count + 1)]
    for name, shard in zip(names, plan.shards, strict=True):
        _write_shard(plan, shard, folder / name, buffer, progress)
    if count > 1:
        weight_map = {tensor: name for name, shard in zip(names, plan.shards, strict=True) for tensor, _ in shard}
        write_atomically(
            folder / INDEX, dump_document({"metadata": {"total_size": plan.bytes}, "weight_map": weight_map})
        )
    write_atomically(folder / "config.json", dump_document(dict(plan.config)))
    sync_folder(folder)


def _write_shard(
    plan: SynthPlan, shard: Sequence[tuple[str, tuple[int, ...]]], path: Path, buffer: AlignedBuffer, progress: Progress
) -> None:
    code, item_bytes = DTYPES[plan.dtype]
    tensors = [(name, code, shape, math.prod(shape) * item_bytes) for name, shape in shard]
    with WeightsFile(path, buffer) as file:
        file.write(header_bytes(tensors, metadata={"format": "pt", SYNTHETIC_KEY: "true"}))
        for name, shape in shard:
            for piece in tensor_values(name, shape, plan.seed):
                data = encode(piece, plan.dtype)
                file.write(data.data)
                progress.advance(data.nbytes)
        file.finish()


def tensor_values(name: str, shape: tuple[int, ...], seed: int) -> Iterator[npt.NDArray[np.float32]]:
    """The values of a tensor, flat, in pieces of at most 2²⁰: 1 for norm weights, 0 for biases, else normal with
    INIT_STD.

    They depend on `seed` and `name` only, not on what else is written.
    """
    count = math.prod(shape)
    constant = 0.0 if name.endswith(".bias") else 1.0 if len(shape) == 1 and name.endswith(".weight") else None
    key = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    generator = np.random.Generator(np.random.SFC64(int.from_bytes(key, "little")))
    for begin in range(0, count, _ELEMENTS):
        size = min(_ELEMENTS, count - begin)
        if constant is not None:
            yield np.full(size, constant, dtype=np.float32)
        else:
            values = generator.standard_normal(size, dtype=np.float32)
            values *= np.float32(INIT_STD)
            yield values


def encode(values: npt.NDArray[np.float32], dtype: str) -> npt.NDArray[Any]:
    """Finite float32 values as they stand in a file of `dtype`; bfloat16 is rounded to nearest, ties to even, and comes
    as uint16."""
    if dtype == "float32":
        return values
    if dtype == "float16":
        return values.astype(np.float16)
    return to_bits(values)
