"""Rows of several variants as one batch, on rows that remember what was run."""

from collections.abc import Callable, Sequence

import numpy as np

from runtime.engines.mixed_batch import MixedBatch, run_in_turn


class Counted:
    """One row, whose logits are how often it ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    @property
    def logits(self) -> np.ndarray:
        return np.full((1, 2), len(self.ran), np.float32)

    def prefill(self) -> None:
        self.ran.append("prompts")

    def decode(self, tokens: Sequence[int | None]) -> None:
        self.ran.append("token")


def run_elsewhere(tasks: Sequence[Callable[[], None]]) -> None:
    run_in_turn(tasks)


def test_parts_run_their_prompts_once_when_they_are_needed_and_without_the_others() -> None:
    rows = [Counted(), Counted()]
    (_, first), (_, second) = MixedBatch([((1,), rows[0]), ((0,), rows[1])], run_elsewhere).apart()
    assert rows[0].ran == rows[1].ran == []
    assert first.logits[0, 0] == first.logits[0, 0] == 1
    second.decode([5])
    assert (rows[0].ran, rows[1].ran) == (["prompts"], ["prompts", "token"])


def test_a_whole_batch_runs_prompts_before_tokens_and_keeps_the_order_of_the_prompts() -> None:
    rows = [Counted(), Counted()]
    batch = MixedBatch([((1,), rows[0]), ((0,), rows[1])])
    assert batch.logits[:, 0].tolist() == [1, 1]
    batch.decode([7, None])
    assert batch.logits[:, 0].tolist() == [2, 1] and rows[0].ran == ["prompts"]


def test_rows_that_cannot_run_side_by_side_stay_one_part() -> None:
    batch = MixedBatch([((0,), Counted()), ((1,), Counted())])
    assert [(list(places), whole is batch) for places, whole in batch.apart()] == [([0, 1], True)]
