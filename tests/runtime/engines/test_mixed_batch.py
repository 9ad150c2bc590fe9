"""Rows of several variants as one batch, on rows that remember what was run."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest

from runtime.engines.mixed_batch import MixedBatch, Task, fill_gaps


class Counted:
    """Rows whose logits are their name and how often they ran; prompts of five tokens."""

    def __init__(self, variant: str, names: Sequence[int], *, movable: bool = True) -> None:
        self.variant, self.names, self.movable = variant, list(names), movable
        self.ran: list[object] = []
        self.left = 5

    @property
    def logits(self) -> np.ndarray:
        return np.asarray([(name, len(self.ran)) for name in self.names], np.float32)

    @property
    def reused(self) -> list[int]:
        return self.names

    @property
    def unread(self) -> bool:
        return self.left > 0

    def __len__(self) -> int:
        return len(self.names)

    def reading(self, tokens: int | None) -> list[Task]:
        return [partial(self._read, tokens)] if self.left > 0 else []

    def decoding(self, tokens: Sequence[int | None], share: float) -> list[Task]:
        return [lambda threads: self.ran.append((list(tokens), share, threads))]

    def takes(self, other: "Counted") -> bool:
        return other.variant == self.variant

    def join(self, other: "Counted") -> None:
        self.names += other.names

    def keep(self, places: Sequence[int]) -> None:
        self.names = [self.names[place] for place in places]

    def _read(self, tokens: int | None, threads: int) -> None:
        self.left -= self.left if tokens is None else min(tokens, self.left)
        self.ran.append(tokens)


def names(batch: MixedBatch) -> list[int]:
    return batch.logits[:, 0].astype(int).tolist()


def test_prompts_run_once_when_they_are_needed_and_in_parts_where_that_is_asked_for() -> None:
    rows = [Counted("a", [1]), Counted("b", [0])]
    batch = MixedBatch([((1,), rows[0]), ((0,), rows[1])])
    assert rows[0].ran == rows[1].ran == []
    assert not batch.read(2) and not batch.read(2) and batch.read(2) and batch.read(2)
    assert rows[0].ran == rows[1].ran == [2, 2, 2]
    assert names(batch) == [0, 1] and rows[0].ran == [2, 2, 2]
    with pytest.raises(ValueError, match="0 tokens cannot be read"):
        batch.read(0)


def test_a_token_goes_to_its_row_and_rows_that_are_all_over_do_not_run() -> None:
    rows = [Counted("a", [1, 2]), Counted("b", [0])]
    batch = MixedBatch([((1, 2), rows[0]), ((0,), rows[1])])
    batch.decode([7, None, 9])
    assert rows[0].ran == [None, ([None, 9], 2 / 3, 1)] and rows[1].ran == [None, ([7], 1 / 3, 1)]
    batch.decode([None, 3, None])
    assert rows[0].ran[2:] == [([3, None], 1, 1)] and len(rows[1].ran) == 2
    with pytest.raises(ValueError, match="2 tokens do not fit 3 sequences"):
        batch.decode([1, 2])


def test_those_that_join_stand_behind_and_run_with_their_variant() -> None:
    batch = MixedBatch([((0, 2), Counted("a", [0, 2])), ((1,), Counted("b", [1]))])
    batch.join(MixedBatch([((1,), Counted("a", [4])), ((0,), Counted("c", [3]))]))
    assert names(batch) == [0, 1, 2, 3, 4] and len(batch._parts) == 3
    with pytest.raises(ValueError, match="cannot join"):
        batch.join(batch)


def test_what_is_kept_stands_in_the_order_asked_for_and_variants_without_rows_are_gone() -> None:
    batch = MixedBatch([((0, 2, 3), Counted("a", [0, 2, 3])), ((1,), Counted("b", [1]))])
    batch.keep([3, 0])
    assert names(batch) == [3, 0] and len(batch._parts) == 1 and batch.reused == (3, 0)
    batch.keep([])
    assert len(batch.logits) == 0
    batch.decode([])
    batch.join(MixedBatch([((0,), Counted("a", [5]))]))
    assert names(batch) == [5]
    for places in ([0, 0], [1], [-1]):
        with pytest.raises(ValueError, match="cannot be kept"):
            batch.keep(places)


def test_rows_that_cannot_be_moved_stay_where_they_are() -> None:
    rows = Counted("a", [0, 1, 2], movable=False)
    batch = MixedBatch([((0, 1, 2), rows)])
    batch.join(MixedBatch([((0,), Counted("a", [3], movable=False))]))
    batch.keep([3, 1])
    assert names(batch) == [3, 1] and len(rows) == 3
    batch.decode([8, 9])
    assert rows.ran[-1] == ([None, 9, None], 3 / 4, 1)


def test_a_batch_of_which_something_ran_stays_one_part() -> None:
    part = MixedBatch([((0,), Counted("a", [0]))])
    batch = MixedBatch([((0,), Counted("a", [0]))], apart=lambda: [((0,), part)])
    assert batch.apart() == [((0,), part)]
    batch.read(1)
    assert batch.apart() == [(range(1), batch)]


@pytest.mark.parametrize(
    ("kept", "places"), [([0, 1], [0, 1]), ([1, 2], [2, 1]), ([3], [3]), ([4, 0, 2], [0, 4, 2]), ([], [])]
)
def test_gaps_are_filled_from_behind(kept: list[int], places: list[int]) -> None:
    assert fill_gaps(kept) == places
