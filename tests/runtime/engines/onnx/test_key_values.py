"""Rows that join, move and leave, in memory that grows and shrinks with them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from runtime.engines.onnx.key_values import KeyValues


@dataclass
class Sizes:
    layers: int = 2
    kv_heads: int = 3
    head_dim: int = 4
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.float32))


def filled(rng: np.random.Generator, *lengths: int, room: int = 5) -> tuple[KeyValues, list[np.ndarray]]:
    """Rows of such lengths and room for more, and what is in them."""
    keys = KeyValues(Sizes(), np.asarray(lengths) + room)
    rows = [rng.standard_normal((4, 3, length, 4)).astype(np.float32) for length in lengths]
    for row, values in enumerate(rows):
        keys.begin(row, values)
    return keys, rows


def check(keys: KeyValues, rows: list[np.ndarray]) -> None:
    assert keys.lengths.tolist() == [values.shape[2] for values in rows]
    for row, values in enumerate(rows):
        np.testing.assert_array_equal(keys.copied(row, values.shape[2]), values)
        assert keys.capacity >= keys.room[row]


def test_rows_join_move_and_leave_with_what_they_hold() -> None:
    rng = np.random.default_rng(0)
    keys, rows = filled(rng, 3, 9, 1)
    for _ in range(30):
        more, new = filled(rng, *rng.integers(1, 40, 2).tolist(), room=int(rng.integers(0, 30)))
        keys.join(more)
        rows += new
        check(keys, rows)
        places = rng.permutation(len(rows))[: int(rng.integers(0, len(rows) + 1))].tolist()
        keys.keep(places)
        rows = [rows[place] for place in places]
        check(keys, rows)


def test_the_buffers_grow_twofold_and_shrink_when_they_are_much_too_large() -> None:
    rng = np.random.default_rng(0)
    keys, _ = filled(rng, 10, room=0)
    keys.join(filled(rng, 11, room=0)[0])
    assert (keys.part(0, 1)[0].shape, keys._buffers.shape[1]) == ((1, 3, 20, 4), 2)
    keys.join(filled(rng, 100, room=20)[0])
    assert (keys.capacity, keys._buffers.shape[1]) == (120, 4)
    keys.keep([0])
    assert (keys.capacity, keys._buffers.shape[1]) == (10, 1)


def test_room_that_is_not_used_takes_no_memory() -> None:
    from psutil import Process

    before = Process().memory_info().rss
    keys = KeyValues(Sizes(layers=8, kv_heads=8, head_dim=64), np.full(64, 1 << 12))
    assert keys._buffers.nbytes > 1 << 32
    assert Process().memory_info().rss - before < 1 << 26
