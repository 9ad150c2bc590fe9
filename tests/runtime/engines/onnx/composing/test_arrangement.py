"""Rows of several variants in order, few of them moved."""

from itertools import pairwise

import numpy as np
import pytest

from runtime.engines.onnx.composing.arrangement import Kind, arranged, bounds

A, B, C = ("block-00-k4", "block-01-k1"), ("block-00-k4", "block-01-k4"), ("block-00-k4",)


@pytest.mark.parametrize(("rows", "ranges", "cut"), [(0, 1, [0, 0]), (5, 2, [0, 2, 5]), (6, 4, [0, 1, 2, 4, 6])])
def test_ranges_are_alike_in_size(rows: int, ranges: int, cut: list[int]) -> None:
    assert bounds(rows, ranges) == cut


@pytest.mark.parametrize(
    ("rows", "ranges", "order"),
    [
        ({}, 1, []),
        ({0: A, 1: A, 2: A}, 2, [0, 1, 2]),
        ({1: A, 4: A}, 1, [4, 1]),  # a gap is filled from behind
        ({0: A, 1: B, 2: A}, 1, [0, 2, 1]),
        ({0: B, 1: A, 2: B, 3: A}, 2, [3, 2, 1, 0]),
        ({0: C, 1: A, 2: C, 3: A}, 1, [0, 2, 1, 3]),
    ],
)
def test_rows_of_a_kind_stand_side_by_side_in_every_range(rows: dict[int, Kind], ranges: int, order: list[int]) -> None:
    assert arranged(rows, ranges) == order


def test_every_range_has_its_share_and_one_newcomer_moves_at_most_a_row_of_each_kind() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        kinds, ranges = [(A, B, C)[int(kind)] for kind in rng.integers(0, 3, int(rng.integers(1, 20)))], 1
        ranges = int(rng.integers(1, 5))
        kinds = [kinds[place] for place in arranged(dict(enumerate(kinds)), ranges)]
        assert arranged(dict(enumerate(kinds)), ranges) == list(range(len(kinds)))
        for one, other in pairwise([kinds[a:b] for a, b in pairwise(bounds(len(kinds), ranges))]):
            assert all(abs(one.count(kind) - other.count(kind)) <= 1 for kind in (A, B, C))
            assert one == sorted(one) and other == sorted(other)
        order = arranged(dict(enumerate([*kinds, A])), 1) if ranges == 1 else []
        assert sum(new != old for new, old in enumerate(order)) <= 3
