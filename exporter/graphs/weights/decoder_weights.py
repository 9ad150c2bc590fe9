"""Which tensors the decoder graphs of a family need and what of the source each is made of. Pure: decides, reads no
weight."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from exporter.architectures.architecture import Architecture
from exporter.checkpoint.checkpoint import Checkpoint, TensorRecord
from exporter.graphs.decoder_spec import BlockSpec, DecoderSpec
from exporter.graphs.weights.precision import Precision, block_size
from exporter.graphs.weights.stored_tensor import Quantisation, StoredTensor

PANEL = 64  # columns
PANELLED = 2**18  # values of a matrix, the least: to read smaller ones well saves less than the further nodes take
SLICES = (4, 2)  # of each expert, the preferred number first
SLICE_WIDTH = 64  # the least: calling the kernel for narrower slices costs more than equal loads save


def decoder_tensors(
    architecture: Architecture,
    checkpoint: Checkpoint,
    spec: DecoderSpec,
    precision: Precision,
    *,
    blocks: frozenset[int],
) -> Iterator[StoredTensor]:
    """Every tensor of the given source blocks, of embeddings and head, without offsets.

    A quantised matrix `x` becomes `x.packed` and `x.scales`; embeddings, also as a tied head, and routers never are.
    Raises PlanError for widths that cannot be quantised.
    """
    layout, dtype = architecture.decoder, precision.dtype
    yield StoredTensor(name="rotary.cos", dtype=dtype, shape=spec.cos.shape, values=spec.cos)
    yield StoredTensor(name="rotary.sin", dtype=dtype, shape=spec.sin.shape, values=spec.sin)
    if spec.clip is not None:
        for name, limit in (("clip.low", -spec.clip), ("clip.high", spec.clip)):
            yield StoredTensor(name=name, dtype=dtype, shape=(), values=np.asarray(limit, np.float32))
    embeddings = tuple(checkpoint.tensors[name] for name in layout.embeddings)
    yield stacked("embeddings", embeddings, dtype)
    for block in (spec.blocks[number] for number in sorted(blocks)):
        yield from _Block(architecture, block, precision).tensors()
    yield stacked("final_norm", (checkpoint.tensors[layout.final_norm],), dtype)
    if not spec.tied_head:
        yield from matrix("head.weight", (checkpoint.tensors[layout.head],), precision)
    else:
        yield StoredTensor(name="head.weight", dtype=dtype, shape=embeddings[0].shape, view_of="embeddings")


def stacked(name: str, tensors: Sequence[TensorRecord], dtype: str) -> StoredTensor:
    """Tensors one below the other."""
    shape = (sum(tensor.shape[0] for tensor in tensors), *tensors[0].shape[1:])
    return StoredTensor(name=name, dtype=dtype, shape=shape, rows=tuple((tensor,) for tensor in tensors))


def matrix(name: str, tensors: Sequence[TensorRecord], precision: Precision) -> Iterator[StoredTensor]:
    """Matrices one below the other: transposed, [in, out], because the runtime multiplies one token by that almost
    twice as fast as by [out, in].

    For the CPU large ones are cut into panels, [out / PANEL, in, PANEL], where they can be: a panel is read from its
    first byte to its last. Where the precision says so they are quantised instead: packed [out, blocks, bytes of a
    block], scales [out, blocks].
    """
    whole = stacked(name, tensors, precision.dtype)
    if precision.bits is None:
        rows, columns = whole.shape
        panels = precision.cpu_layout and rows % PANEL == 0 and rows * columns >= PANELLED
        yield replace(whole, shape=(rows // PANEL, columns, PANEL), transposed=True) if panels else turned(whole)
        return
    size = block_size(whole.shape[-1], tensor=tensors[0].name)
    blocks = whole.shape[-1] // size
    yield _part(
        whole,
        "packed",
        (whole.shape[0], blocks, size * precision.bits // 8),
        Quantisation(bits=precision.bits, block=size, part="packed"),
    )
    yield _part(whole, "scales", (whole.shape[0], blocks), Quantisation(bits=precision.bits, block=size, part="scales"))


def turned(tensor: StoredTensor) -> StoredTensor:
    """The matrix transposed."""
    rows, columns = tensor.shape
    return replace(tensor, shape=(columns, rows), transposed=True)


def _part(whole: StoredTensor, part: str, shape: tuple[int, ...], how: Quantisation) -> StoredTensor:
    dtype = "uint8" if part == "packed" else "float32"
    return StoredTensor(name=f"{whole.name}.{part}", dtype=dtype, shape=shape, rows=whole.rows, quantisation=how)


def _slices(width: int) -> int:
    """The number of slices for an expert of that width."""
    return next((slices for slices in SLICES if width % slices == 0 and width // slices >= SLICE_WIDTH), 1)


def _row_slice(record: TensorRecord, part: int, parts: int) -> TensorRecord:
    """The part-th of so many equal parts of a matrix's rows."""
    rows, length = record.shape[0] // parts, record.bytes // parts
    return replace(
        record,
        shape=(rows, *record.shape[1:]),
        begin=record.begin + part * length,
        end=record.begin + (part + 1) * length,
    )


class _Block:
    """The tensors of one source block, named `blocks.<block>.…`."""

    def __init__(self, architecture: Architecture, block: BlockSpec, precision: Precision) -> None:
        self.architecture, self.block, self.precision = architecture, block, precision
        self.prefix = f"blocks.{block.block}."

    def tensors(self) -> Iterator[StoredTensor]:
        layout, tensors = self.architecture.decoder, self.block.tensors
        yield self._take("attention_norm", layout.attention_norm)
        yield from self._linear("qkv", *layout.query_key_value)
        if layout.query_norm is not None and layout.key_norm is not None:
            yield self._take("query_norm", layout.query_norm)
            yield self._take("key_norm", layout.key_norm)
        yield from self._linear("attention_output", layout.attention_output)
        yield self._take("feed_forward_norm", layout.feed_forward_norm)
        if not self.block.sparse:
            yield from self._mlp("dense.", layout.dense)
            return
        assert layout.router is not None
        yield turned(self._take("router.weight", layout.router))
        yield from self._experts(tensors[layout.router].shape[0])
        if layout.shared_expert is not None and layout.shared_expert_gate is not None:
            yield from self._mlp("shared_expert.", layout.shared_expert)
            yield turned(self._take("shared_expert_gate.weight", layout.shared_expert_gate))

    def _take(self, name: str, *sources: str) -> StoredTensor:
        return stacked(self.prefix + name, [self.block.tensors[source] for source in sources], self.precision.dtype)

    def _linear(self, name: str, *sources: str) -> Iterator[StoredTensor]:
        yield from matrix(
            f"{self.prefix}{name}.weight",
            [self.block.tensors[f"{source}.weight"] for source in sources],
            self.precision,
        )
        if f"{sources[0]}.bias" in self.block.tensors:
            yield self._take(f"{name}.bias", *(f"{source}.bias" for source in sources))

    def _mlp(self, name: str, source: str) -> Iterator[StoredTensor]:
        yield from self._linear(f"{name}gate_up", f"{source}gate_proj", f"{source}up_proj")
        yield from self._linear(f"{name}down", f"{source}down_proj")

    def _experts(self, count: int) -> Iterator[StoredTensor]:
        """fc1 [experts, 2·width, hidden] with the rows of gate and up in turn, fc2 [experts, hidden, width]: the layout
        of the MoE kernels.

        The CPU kernel deals experts to threads by number, the first half of them to the first of two threads, however
        few are chosen. So there every expert is cut into slices of its width, which sum up to it: first all first
        slices, then all second ones. Each thread then has a slice of every chosen expert.
        """
        gates, ups, downs = (
            [self._expert(expert, projection) for expert in range(count)]
            for projection in self.architecture.tensors.expert_projections
        )
        hidden, width = downs[0].shape
        slices = _slices(width) if self.precision.cpu_layout else 1
        pairs = [
            tuple(_row_slice(record, part, slices) for record in pair)
            for part in range(slices)
            for pair in zip(gates, ups, strict=True)
        ]
        for name, rows, columns_cut, shape in (
            ("fc1", pairs, 1, (slices * count, 2 * width // slices, hidden)),
            ("fc2", [(down,) for down in downs], slices, (slices * count, hidden, width // slices)),
        ):
            full = f"{self.prefix}experts.{name}"
            whole = StoredTensor(
                name=full, dtype=self.precision.dtype, shape=shape, rows=tuple(rows), slices=columns_cut
            )
            yield from self._quantised_experts(whole, rows[0][0].name)

    def _quantised_experts(self, whole: StoredTensor, source: str) -> Iterator[StoredTensor]:
        bits = self.precision.bits
        if bits is None:
            yield whole
            return
        (count, rows, width), size = whole.shape, self._expert_block(source)
        yield _part(
            whole, "packed", (count, rows, width * bits // 8), Quantisation(bits=bits, block=size, part="packed")
        )
        yield _part(whole, "scales", (count, rows, width // size), Quantisation(bits=bits, block=size, part="scales"))

    def _expert_block(self, source: str) -> int:
        """One block size for both matrices of the experts: the node has one."""
        return min(
            block_size(self._expert(0, projection).shape[1], tensor=source)
            for projection in self.architecture.tensors.expert_projections
        )

    def _expert(self, expert: int, projection: str) -> TensorRecord:
        return self.block.tensors[f"{self.architecture.tensors.experts_prefix}{expert}.{projection}.weight"]
