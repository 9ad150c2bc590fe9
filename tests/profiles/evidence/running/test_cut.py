"""Cuts of a model, and what several of them share."""

import pytest

from profiles.evidence.running.cut import WHOLE, Cut, as_tree


def test_a_cut_runs_the_blocks_it_keeps_in_order() -> None:
    assert WHOLE.steps(3) == ((0, None), (1, None), (2, None))
    assert Cut(removed=(1,), top_k=((2, 4),)).steps(4) == ((0, None), (2, 4), (3, None))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"removed": (3, 1)}, r"removed blocks must ascend from 0 on, not \[3, 1\]"),
        ({"removed": (-1,)}, r"removed blocks must ascend"),
        ({"top_k": ((2, 4), (2, 1))}, r"blocks with a top_k must ascend"),
        ({"removed": (2,), "top_k": ((2, 4),)}, r"blocks \[2\] are removed and have a top_k"),
    ],
)
def test_a_cut_refuses_what_it_cannot_mean(fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Cut(**fields)


def test_a_block_that_the_model_has_not_is_refused() -> None:
    with pytest.raises(ValueError, match="no block 4: the model has blocks 0–3"):
        Cut(removed=(4,)).steps(4)


def test_cuts_share_the_blocks_before_they_first_differ() -> None:
    cuts = [WHOLE, Cut(removed=(3,)), Cut(removed=(2,)), Cut(top_k=((3, 1),)), WHOLE]
    tree = as_tree(cuts, 4)
    assert tree.runs == 3 + 1 + 1 + 1  # 0 1 2 once, then 3; 3 behind 1; 3 with one expert
    assert as_tree([], 4).runs == 0
