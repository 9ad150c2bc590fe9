"""Which tensors the decoder graphs of a family need and what of the source each is made of. Pure: decides, reads no
weight."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from exporter.architectures.architecture import Architecture
from exporter.checkpoint.checkpoint import Checkpoint, TensorRecord
from exporter.graphs.decoder_spec import BlockSpec, DecoderSpec
from exporter.graphs.weights.precision import Precision, group_size
from exporter.graphs.weights.stored_forms import constant, matrix, quantised, stacked, transposed
from exporter.graphs.weights.stored_tensor import ExpertTiles, InterleavedRows, Quantisation, Rows, StoredTensor, View

EXPERT_TILES = (4, 2)  # of each expert, the preferred number first
EXPERT_TILE_WIDTH = 64  # the least: calling the kernel for narrower tiles costs more than equal loads save


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
    parts, dtype = architecture.decoder, precision.dtype
    yield constant("rotary.cos", spec.cos, dtype)
    yield constant("rotary.sin", spec.sin, dtype)
    if spec.clip is not None:
        yield constant("clip.low", np.asarray(-spec.clip, np.float32), dtype)
        yield constant("clip.high", np.asarray(spec.clip, np.float32), dtype)
    embeddings = tuple(checkpoint.tensors[name] for name in parts.embeddings)
    yield stacked("embeddings", embeddings, dtype)
    for block in (spec.blocks[number] for number in sorted(blocks)):
        yield from _Block(architecture, block, precision).tensors()
    yield stacked("final_norm", (checkpoint.tensors[parts.final_norm],), dtype)
    if spec.tied_head:
        yield StoredTensor(name="head.weight", dtype=dtype, shape=embeddings[0].shape, fill=View(of="embeddings"))
    else:
        yield from matrix("head.weight", (checkpoint.tensors[parts.head],), precision)


def _expert_tiles(width: int) -> int:
    """The number of tiles for an expert of that width."""
    return next((tiles for tiles in EXPERT_TILES if width % tiles == 0 and width // tiles >= EXPERT_TILE_WIDTH), 1)


def _row_tile(record: TensorRecord, tile: int, tiles: int) -> TensorRecord:
    """One of so many equal parts of a matrix's rows."""
    rows, length = record.shape[0] // tiles, record.bytes // tiles
    begin = record.begin + tile * length
    return replace(record, shape=(rows, *record.shape[1:]), begin=begin, end=begin + length)


class _Block:
    """The tensors of one source block, named `blocks.<block>.…`."""

    def __init__(self, architecture: Architecture, block: BlockSpec, precision: Precision) -> None:
        self.architecture, self.block, self.precision = architecture, block, precision
        self.prefix = f"blocks.{block.block}."

    def tensors(self) -> Iterator[StoredTensor]:
        parts = self.architecture.decoder
        yield self._take("attention_norm", parts.attention_norm)
        yield from self._linear("qkv", *parts.query_key_value)
        if parts.query_norm is not None and parts.key_norm is not None:
            yield self._take("query_norm", parts.query_norm)
            yield self._take("key_norm", parts.key_norm)
        yield from self._linear("attention_output", parts.attention_output)
        yield self._take("feed_forward_norm", parts.feed_forward_norm)
        if not self.block.sparse:
            yield from self._mlp("dense.", parts.dense)
            return
        assert parts.router is not None
        yield self._transposed("router.weight", parts.router)
        yield from self._experts(self.block.tensors[parts.router].shape[0])
        if parts.shared_expert is not None and parts.shared_expert_gate is not None:
            yield from self._mlp("shared_expert.", parts.shared_expert)
            yield self._transposed("shared_expert_gate.weight", parts.shared_expert_gate)

    def _take(self, name: str, *sources: str) -> StoredTensor:
        return stacked(self.prefix + name, [self.block.tensors[source] for source in sources], self.precision.dtype)

    def _transposed(self, name: str, source: str) -> StoredTensor:
        return transposed(self.prefix + name, (self.block.tensors[source],), self.precision.dtype)

    def _linear(self, name: str, *sources: str) -> Iterator[StoredTensor]:
        weights = [self.block.tensors[f"{source}.weight"] for source in sources]
        yield from matrix(f"{self.prefix}{name}.weight", weights, self.precision)
        if f"{sources[0]}.bias" in self.block.tensors:
            yield self._take(f"{name}.bias", *(f"{source}.bias" for source in sources))

    def _mlp(self, name: str, source: str) -> Iterator[StoredTensor]:
        yield from self._linear(f"{name}gate_up", f"{source}gate_proj", f"{source}up_proj")
        yield from self._linear(f"{name}down", f"{source}down_proj")

    def _experts(self, count: int) -> Iterator[StoredTensor]:
        """fc1 [experts, 2·width, hidden] with the rows of gate and up in turn, fc2 [experts, hidden, width], as the MoE
        kernels take them."""
        gates, ups, downs = (
            [self._expert(expert, projection) for expert in range(count)]
            for projection in self.architecture.tensors.expert_projections
        )
        if self.precision.bits is None:
            yield from self._tiled_experts(gates, ups, downs)
        else:
            yield from self._quantised_experts(gates, ups, downs, self.precision.bits)

    def _tiled_experts(
        self, gates: Sequence[TensorRecord], ups: Sequence[TensorRecord], downs: Sequence[TensorRecord]
    ) -> Iterator[StoredTensor]:
        """The experts as they are, or for the CPU in tiles: its kernel deals experts to threads by number, the first
        half of them to the first of two threads, however few are chosen. So there every expert is cut into tiles of its
        width, which sum up to it: the first tile of all experts, then the second of all, … Each thread then has a tile
        of every chosen expert."""
        count, (hidden, width), dtype = len(downs), downs[0].shape, self.precision.dtype
        tiles = _expert_tiles(width) if self.precision.tiled else 1
        fc1 = InterleavedRows(
            pairs=tuple(
                (_row_tile(gate, tile, tiles), _row_tile(up, tile, tiles))
                for tile in range(tiles)
                for gate, up in zip(gates, ups, strict=True)
            )
        )
        fc2 = ExpertTiles(sources=tuple(downs), tiles=tiles)
        shapes = (tiles * count, 2 * width // tiles, hidden), (tiles * count, hidden, width // tiles)
        yield StoredTensor(name=f"{self.prefix}experts.fc1", dtype=dtype, shape=shapes[0], fill=fc1)
        yield StoredTensor(name=f"{self.prefix}experts.fc2", dtype=dtype, shape=shapes[1], fill=fc2)

    def _quantised_experts(
        self, gates: Sequence[TensorRecord], ups: Sequence[TensorRecord], downs: Sequence[TensorRecord], bits: int
    ) -> Iterator[StoredTensor]:
        """The quantised experts, both matrices in groups of one size: the node has one."""
        count, (hidden, width) = len(downs), downs[0].shape
        size = min(group_size(columns, bits, tensor=gates[0].name) for columns in (hidden, width))
        how = Quantisation(bits=bits, group_size=size)
        pairs = InterleavedRows(pairs=tuple(zip(gates, ups, strict=True)))
        for name, rows, (height, columns) in (
            ("fc1", pairs, (2 * width, hidden)),
            ("fc2", Rows(sources=tuple(downs)), (hidden, width)),
        ):
            packed, scales = (count, height, columns * bits // 8), (count, height, columns // size)
            yield from quantised(f"{self.prefix}experts.{name}", rows, how, packed=packed, scales=scales)

    def _expert(self, expert: int, projection: str) -> TensorRecord:
        return self.block.tensors[f"{self.architecture.tensors.experts_prefix}{expert}.{projection}.weight"]
