"""Runs rows of any variants through graphs of blocks: neighbours that keep a block with the same experts per token run
it together."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import onnxruntime

from runtime.documents.family_layout import HEAD, TOKEN_EMBEDDINGS
from runtime.documents.graph_contract import (
    CPU,
    HIDDEN,
    INPUT_IDS,
    LAST_POSITIONS,
    LOGITS,
    NEXT_HIDDEN,
    PAST,
    PRESENT,
    TOTAL_LENGTH,
)
from runtime.engines.onnx.cache import Cache, Feed
from runtime.engines.onnx.composing.block_graphs import BlockGraphs, Composition
from runtime.engines.onnx.key_values import CacheSizes, KeyValues
from runtime.engines.onnx.values import DTYPES
from runtime.engines.protocol import Array
from runtime.errors import VerificationError


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Rows `first` to `last` (exclusive) that run the graph called `name` of a source block."""

    block: int
    name: str
    first: int
    last: int


def spans(rows: Sequence[Composition]) -> tuple[Span, ...]:
    """What a step of rows of these variants runs, block after block: neighbours with the same graph together."""
    found = []
    for block in sorted({block for row in rows for block in row}):
        for name, group in groupby(enumerate(rows), key=lambda place: place[1].get(block)):
            if name is not None:
                places = [place for place, _ in group]
                found.append(Span(block=block, name=name, first=places[0], last=places[-1] + 1))
    return tuple(found)


class ComposedDecoder:
    """A decoder of rows whose variants are `rows`, or of any number of rows where that is one: see CachedDecoder in
    runtime/engines/onnx/cache.py. Keys and values are those of all source blocks, in their order."""

    device, provider, all_layers = "cpu", CPU, True

    def __init__(self, graphs: BlockGraphs, rows: Sequence[Composition], *, threads: int) -> None:
        """Open the graphs that are not open yet. Raises VerificationError."""
        self._graphs, self._rows, self._threads = graphs, rows, threads
        names = {name for row in rows for name in row.values()}
        sessions = [graphs.session(name, threads) for name in (*sorted(names), HEAD)]
        inputs = {value.name: value for value in sessions[0].get_inputs()}
        past = inputs.get(f"{PAST}0.key")
        if past is None or HIDDEN not in inputs or past.type not in DTYPES:
            raise VerificationError(f"the graph is none of a block that this can run: it takes {', '.join(inputs)}")
        self.dtype = DTYPES[past.type]
        self.input_dtype = np.dtype(np.int64) if graphs.embedded else self.dtype
        _, self.kv_heads, _, self.head_dim = past.shape

    def start(self, *, batch: int, capacity: int) -> Cache:
        """An empty cache for `batch` rows of at most `capacity` tokens each, all of the one variant."""
        (composition,) = self._rows
        sizes = CacheSizes(
            layers=max(composition) + 1, kv_heads=self.kv_heads, head_dim=self.head_dim, dtype=self.dtype
        )
        return Cache(self, KeyValues(sizes, np.full(batch, capacity), sorted(composition)), 0, batch)

    def alone(self, row: int) -> "ComposedDecoder":
        """See CachedDecoder."""
        rows = self._rows if len(self._rows) == 1 else self._rows[row : row + 1]
        return ComposedDecoder(self._graphs, rows, threads=self._threads)

    def bind(self, buffers: Sequence[Array]) -> "_Bound":
        """See CachedDecoder."""
        count = len(buffers[0])
        rows = self._rows if len(self._rows) == count else list(self._rows) * count
        assert len(rows) == count, "there are as many rows as compositions"
        return _Bound(self._graphs, spans(rows), buffers, threads=self._threads)

    def feed(self, binding: "_Bound", feed: Feed) -> dict[str, Array]:
        """See CachedDecoder."""
        values = feed.values
        if self._graphs.embedded:
            values = self._graphs.session(TOKEN_EMBEDDINGS, 1).run(None, {INPUT_IDS: values})[0]
        hidden = binding.run(values.astype(self.dtype, copy=False), feed)[:, feed.first :]
        head = self._graphs.session(HEAD, self._threads)
        return {LOGITS: head.run(None, {HIDDEN: np.ascontiguousarray(hidden)})[0]}


class _Bound:
    """Block graphs bound to the keys and values of their rows, to the rows' lengths and to the residual stream, which
    each of them replaces: rows that lack a block keep theirs."""

    def __init__(self, graphs: BlockGraphs, found: Sequence[Span], buffers: Sequence[Array], *, threads: int) -> None:
        """`buffers` are keys and values of every source block in turn, [rows, kv_heads, capacity, head_dim]."""
        self._last, self._total = np.zeros(len(buffers[0]), np.int32), np.zeros((), np.int32)
        self._hidden: Array = np.zeros((0, 0, 0), np.float32)
        self._steps = [(span, graphs.session(span.name, threads)) for span in found]
        self._bindings = [self._bound(session, span, buffers) for span, session in self._steps]

    def _bound(self, session: onnxruntime.InferenceSession, span: Span, buffers: Sequence[Array]) -> Any:
        binding, rows = session.io_binding(), slice(span.first, span.last)
        binding.bind_ortvalue_input(LAST_POSITIONS, _value(self._last[rows]))
        binding.bind_ortvalue_input(TOTAL_LENGTH, _value(self._total))
        for kind, array in zip(("key", "value"), buffers[2 * span.block : 2 * span.block + 2], strict=True):
            value = _value(array[rows])
            binding.bind_ortvalue_input(f"{PAST}0.{kind}", value)
            binding.bind_ortvalue_output(f"{PRESENT}0.{kind}", value)
        return binding

    def run(self, values: Array, feed: Feed) -> Array:
        """What the last block makes of `values` [rows, n, width]; good until the next run."""
        if self._hidden.shape != values.shape:
            self._hidden = np.empty_like(values, order="C")
            for (span, _), binding in zip(self._steps, self._bindings, strict=True):
                stream = _value(self._hidden[span.first : span.last])
                binding.bind_ortvalue_input(HIDDEN, stream)
                binding.bind_ortvalue_output(NEXT_HIDDEN, stream)
        self._hidden[:] = values
        self._last[:], self._total[...] = feed.seen - 1, feed.total
        for (_, session), binding in zip(self._steps, self._bindings, strict=True):
            session.run_with_iobinding(binding)
        return self._hidden


def _value(array: Array) -> onnxruntime.OrtValue:
    """The array itself as a value of the runtime."""
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)
