"""The memory of keys and values: rows of any lengths in one set of buffers, which rows join and leave."""

import math
import mmap
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from runtime.engines.protocol import Array

# Pages of a private mapping are given when they are written to, and not counted before, where Linux is told so: the
# number is MAP_NORESERVE on x86 and Arm, which the module names since Python 3.13. Windows has no flags.
_UNCOUNTED = 0x4000 if sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64") else 0
_FLAGS = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _UNCOUNTED} if hasattr(mmap, "MAP_PRIVATE") else {}
MUCH = 4  # buffers that many times larger than what they hold are given up for smaller ones


class Sizes(Protocol):
    """What is kept for each token."""

    @property
    def layers(self) -> int:
        """Of how many layers: in buffers that rows of several variants share, one for each source block."""

    @property
    def kv_heads(self) -> int:
        """So many keys, and as many values, of each."""

    @property
    def head_dim(self) -> int:
        """So many numbers each."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """In which type."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheSizes:
    """See Sizes."""

    layers: int
    kv_heads: int
    head_dim: int
    dtype: np.dtype[Any]


class KeyValues:
    """Buffers for some rows, with `lengths` [rows], the tokens of each so far, and `room` [rows], how many it may have.

    A row may use only some of the layers. They lie in one piece of memory, of which the system gives a page only when
    it is written to: room costs nothing until it is used. They grow at least twofold, so that rows which join one by
    one are copied a few times at most.
    """

    def __init__(self, sizes: Sizes, room: Array, used: Sequence[int] | None = None) -> None:
        """Reserve the memory for rows of at most `room` [rows] tokens, one row at least, that use these layers (None:
        all)."""
        self._sizes = sizes
        layers = np.arange(sizes.layers) if used is None else np.asarray(used, np.int64)
        self._used = [np.stack([2 * layers, 2 * layers + 1], axis=1).reshape(-1)] * len(room)  # of each row: buffers
        self.lengths, self.room = np.zeros_like(room), room
        self._buffers = self._reserved(len(room), int(room.max()))

    @property
    def capacity(self) -> int:
        """Tokens that each row's part of the buffers holds."""
        return int(self._buffers.shape[3])

    def part(self, first: int, last: int, *, all_layers: bool = False) -> Sequence[Array]:
        """The buffers of rows `first` to `last` (exclusive): keys and values in turn for each layer, each
        [rows, kv_heads, capacity, head_dim]: of those layers that the first of the rows uses, or all."""
        places = range(len(self._buffers)) if all_layers else self._used[first]
        return tuple(self._buffers[place, first:last] for place in places)

    def copied(self, row: int, tokens: int) -> Array:
        """The first tokens of a row [2·its layers, kv_heads, tokens, head_dim]."""
        copy: Array = self._buffers[self._used[row], row, :, :tokens]
        return copy

    def begin(self, row: int, values: Array) -> None:
        """Let an empty row begin with tokens that `copied` gave."""
        self.lengths[row] = values.shape[2]
        self._buffers[self._used[row], row, :, : values.shape[2]] = values

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
        self._used += other._used
        other._copy_to(self._buffers[:, first:])

    def keep(self, places: Sequence[int]) -> None:
        """Keep the rows at `places` only, in that order."""
        moved = [(new, old) for new, old in enumerate(places) if new != old]
        copies = [self.copied(old, int(self.lengths[old])) for _, old in moved]
        chosen = np.asarray(places, np.int64)
        self.lengths, self.room = self.lengths[chosen], self.room[chosen]
        self._used = [self._used[place] for place in places]
        for (new, _), values in zip(moved, copies, strict=True):
            self.begin(new, values)
        needed = int(self.room.max(initial=1))
        if MUCH * len(places) <= self._buffers.shape[1] or MUCH * needed <= self.capacity:
            self._move(len(places), needed)

    def _move(self, rows: int, capacity: int) -> None:
        """Take other memory, for so many rows, and let go of the old."""
        new = self._reserved(rows, capacity)
        self._copy_to(new)
        self._buffers = new

    def _copy_to(self, target: Array) -> None:
        """Copy all rows to the first of `target`, each only as far as it is written."""
        for row, (length, used) in enumerate(zip(self.lengths, self._used, strict=True)):
            target[used, row, :, :length] = self._buffers[used, row, :, :length]

    def _reserved(self, rows: int, capacity: int) -> Array:
        """Zeros [2·layers, rows, kv_heads, capacity, head_dim]."""
        sizes = self._sizes
        shape = (2 * sizes.layers, rows, sizes.kv_heads, capacity, sizes.head_dim)
        count = math.prod(shape)
        memory = mmap.mmap(-1, max(1, count * sizes.dtype.itemsize), **_FLAGS)
        return np.frombuffer(memory, sizes.dtype, count=count).reshape(shape)
