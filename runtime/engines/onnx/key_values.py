"""The memory of keys and values: rows of any lengths in one set of buffers, which rows join and leave."""

import math
import mmap
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from runtime.engines.protocol import Array

# Pages of a private mapping are given when they are written to; Windows, which has no flags, does so of itself.
_PRIVATE: dict[str, int] = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
MUCH = 4  # buffers that many times larger than what they hold are given up for smaller ones


class Sizes(Protocol):
    """What a decoder keeps for each token."""

    layers: int
    kv_heads: int
    head_dim: int
    dtype: np.dtype[Any]


class KeyValues:
    """Buffers for some rows, with `lengths` [rows], the tokens of each so far, and `room` [rows], how many it may have.

    They lie in one piece of memory, of which the system gives a page only when it is written to: room costs nothing
    until it is used. They grow at least twofold, so that rows which join one by one are copied a few times at most.
    """

    def __init__(self, sizes: Sizes, room: Array) -> None:
        """Reserve the memory for rows of at most `room` [rows] tokens, one row at least."""
        self._sizes = sizes
        self.lengths, self.room = np.zeros_like(room), room
        self._buffers = self._reserved(len(room), int(room.max()))

    @property
    def capacity(self) -> int:
        """Tokens that each row's part of the buffers holds."""
        return int(self._buffers.shape[3])

    def part(self, first: int, last: int) -> Sequence[Array]:
        """The buffers of rows `first` to `last` (exclusive): keys and values in turn for each layer, each
        [rows, kv_heads, capacity, head_dim]."""
        return tuple(self._buffers[:, first:last])

    def copied(self, row: int, tokens: int) -> Array:
        """The first tokens of a row [2·layers, kv_heads, tokens, head_dim]."""
        copy: Array = self._buffers[:, row, :, :tokens].copy()
        return copy

    def begin(self, row: int, values: Array) -> None:
        """Let an empty row begin with tokens that `copied` gave."""
        self.lengths[row] = values.shape[2]
        self._buffers[:, row, :, : values.shape[2]] = values

    def join(self, other: "KeyValues") -> None:
        """Copy the rows of `other` behind the own ones."""
        first, rows = len(self.lengths), len(self.lengths) + len(other.lengths)
        held, capacity, needed = self._buffers.shape[1], self.capacity, int(other.room.max(initial=0))
        if rows > held or needed > capacity:
            self._move(
                max(rows, 2 * held) if rows > held else held,
                max(needed, 2 * capacity) if needed > capacity else capacity,
            )
        self.lengths = np.concatenate([self.lengths, other.lengths])
        self.room = np.concatenate([self.room, other.room])
        _copy(self._buffers[:, first:], other._buffers, other.lengths)

    def keep(self, places: Sequence[int]) -> None:
        """Keep the rows at `places` only, in that order."""
        chosen = np.asarray(places, np.int64)
        moved = np.flatnonzero(chosen != np.arange(len(chosen)))
        longest = int(self.lengths[chosen[moved]].max(initial=0))
        self._buffers[:, moved, :, :longest] = self._buffers[:, chosen[moved], :, :longest]
        self.lengths, self.room = self.lengths[chosen], self.room[chosen]
        needed = int(self.room.max(initial=1))
        if MUCH * len(chosen) <= self._buffers.shape[1] or MUCH * needed <= self.capacity:
            self._move(len(chosen), needed)

    def _move(self, rows: int, capacity: int) -> None:
        """Take other memory, for so many rows, and let go of the old."""
        old, self._buffers = self._buffers, self._reserved(rows, capacity)
        _copy(self._buffers, old, self.lengths)

    def _reserved(self, rows: int, capacity: int) -> Array:
        """Zeros [2·layers, rows, kv_heads, capacity, head_dim]."""
        sizes = self._sizes
        shape = (2 * sizes.layers, rows, sizes.kv_heads, capacity, sizes.head_dim)
        count = math.prod(shape)
        memory = mmap.mmap(-1, max(1, count * sizes.dtype.itemsize), **_PRIVATE)
        return np.frombuffer(memory, sizes.dtype, count=count).reshape(shape)


def _copy(target: Array, source: Array, lengths: Array) -> None:
    """Copy the first rows, as many as there are lengths, each only as far as it is written."""
    for row, length in enumerate(lengths):
        target[:, row, :, :length] = source[:, row, :, :length]
