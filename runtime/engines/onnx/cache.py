"""How new tokens of rows of different lengths are fed to a kernel that does not take every case."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from runtime.documents.graph_contract import LOGITS
from runtime.engines.onnx.key_values import KeyValues
from runtime.engines.protocol import Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Feed:
    """One run of a decoder graph: `values` [rows, n, …] are the last of the `seen` [rows] tokens of each row, `total`
    what the kernel takes for past and new tokens together; logits begin at position `first` of the new ones."""

    values: Array
    seen: Array
    total: int
    first: int


class CachedDecoder(Protocol):
    """What a cache needs of a decoder."""

    device: str
    all_layers: bool  # whether keys and values of all layers are bound, or of those that its rows use

    def alone(self, row: int) -> "CachedDecoder":
        """The decoder of one of its rows, by itself."""

    def bind(self, buffers: Sequence[Array]) -> Any:
        """Bind keys and values as past and present both."""

    def feed(self, binding: Any, feed: Feed) -> dict[str, Array]:
        """Run once; returns the outputs by name."""


class Cache:
    """Some rows' keys and values, bound to a decoder. `run` appends to them.

    What the attention kernel takes:

    | past | new tokens | how they are fed |
    |---|---|---|
    | none | any number, padded on the right | all rows together |
    | some | one of each row (none: one that the row's next token replaces) | all rows together |
    | some | several of a single row, without padding | together |
    | some | several of several rows, or with padding | each row alone, on its part of the same buffers |

    The last case it refuses for several rows, and with padding it is silently wrong.
    """

    def __init__(self, decoder: CachedDecoder, keys: KeyValues, first: int, last: int) -> None:
        """Bind the buffers of rows `first` to `last` (exclusive) as past and present of every layer."""
        self._decoder, self._keys, self._first, self._last = decoder, keys, first, last
        self._together = decoder.bind(keys.part(first, last, all_layers=decoder.all_layers))
        self._alone: dict[int, tuple[CachedDecoder, Any]] = {}

    @property
    def lengths(self) -> Array:
        """Tokens of each row so far [batch]."""
        lengths: Array = self._keys.lengths[self._first : self._last]
        return lengths

    def run(
        self, values: Array, *, counts: Sequence[int] | Array | None = None, first_logits: int = 0
    ) -> dict[str, Array]:
        """Feed `values` (ids [batch, n], or embeddings [batch, n, hidden]); returns `logits` [batch, n, vocabulary] and
        what else the graph puts out: hidden states [batch, n, …], router scores [batch · n, experts].

        `counts` are the real tokens of each row, perhaps none, the rest is padding on the right (default: all are
        real). Logits begin at position `first_logits` of these n (−1: only the last). What comes out for padding means
        nothing. Raises ValueError, and feeds nothing, when a row's buffer is full or the arguments do not fit each
        other.
        """
        counted = self._check(values, counts, first_logits)
        first = first_logits % values.shape[1]
        run = self._run_together if self._fits_together(values.shape[1], counted) else self._run_rows
        outputs = run(values, counted, first)
        self._keys.lengths[self._first : self._last] += counted
        return outputs

    def _check(self, values: Array, counts: Sequence[int] | Array | None, first_logits: int) -> Array:
        """The counts, when all arguments fit each other and the buffers."""
        batch, new = values.shape[:2]
        counted = np.full(batch, new, np.int64) if counts is None else np.asarray(counts, np.int64)
        if batch != len(self.lengths) or counted.shape != self.lengths.shape:
            raise ValueError(
                f"{batch} rows of values and {counted.size} counts do "
                f"not fit the {len(self.lengths)} rows of the buffers"
            )
        if not counted.any() or counted.min() < 0 or counted.max() > new:
            raise ValueError(f"counts {counted.tolist()} do not fit: a row has 0–{new} tokens here, and one row some")
        if not -new <= first_logits < new:
            raise ValueError(f"first_logits {first_logits} does not fit: there are {new} positions")
        total = int((self.lengths + counted).max())
        if total > self._keys.capacity:
            raise ValueError(f"{total} tokens do not fit: the buffers hold {self._keys.capacity}")
        return counted

    def _fits_together(self, new: int, counted: Array) -> bool:
        """Whether the kernel takes all rows at once: the first three cases, where the padding has room too."""
        longest = int(self.lengths.max())
        one_whole_row = len(counted) == 1 and counted[0] == new
        return longest + new <= self._keys.capacity and (longest == 0 or new == 1 or one_whole_row)

    def _run_together(self, values: Array, counted: Array, first: int) -> dict[str, Array]:
        # A row without a token is fed one that its next token replaces: for none, the kernel would shift its past.
        seen = self.lengths + np.maximum(counted, 1)
        total = int(self.lengths.max()) + values.shape[1]
        return self._decoder.feed(self._together, Feed(values=values, seen=seen, total=total, first=first))

    def _run_rows(self, values: Array, counted: Array, first: int) -> dict[str, Array]:
        """Feed each row alone, without its padding, and join the outputs; zeros stand at padding."""
        if self._decoder.device != "cpu":
            raise ValueError(
                f"buffers on {self._decoder.device} take several tokens of rows with a past only row by row, each "
                "in its own cache"
            )
        joined: dict[str, Array] = {}
        for row in np.flatnonzero(counted).tolist():
            count = int(counted[row])
            total, begin = int(self.lengths[row]) + count, min(first, count - 1)
            feed = Feed(values=values[row : row + 1, :count], seen=np.asarray([total]), total=total, first=begin)
            decoder, binding = self._row(row)
            outputs = decoder.feed(binding, feed)
            outputs[LOGITS] = outputs[LOGITS][:, first - begin :]
            _join(joined, outputs, row, values.shape[:2], first)
        return joined

    def _row(self, row: int) -> tuple[CachedDecoder, Any]:
        """What feeds a row by itself, and the binding of its part of the buffers."""
        if row not in self._alone:
            place, decoder = self._first + row, self._decoder.alone(row)
            buffers = self._keys.part(place, place + 1, all_layers=decoder.all_layers)
            self._alone[row] = (decoder, decoder.bind(buffers))
        return self._alone[row]


def _join(joined: dict[str, Array], outputs: dict[str, Array], row: int, size: tuple[int, ...], first: int) -> None:
    """Put the outputs of one row in its place among those of all rows; `size` is (rows, new tokens)."""
    batch, new = size
    for name, value in outputs.items():
        width = value.shape[-1]
        shape = (batch, new - first if name == LOGITS else new, width)
        whole = joined.setdefault(name, np.zeros(shape if value.ndim == 3 else (batch * new, width), value.dtype))
        part = value.reshape(-1, width)
        whole.reshape(shape)[row, : len(part)] = part
