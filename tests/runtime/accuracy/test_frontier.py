"""The settings that are worth having."""

from collections.abc import Sequence
from itertools import pairwise

from runtime.accuracy.frontier import Allowed, frontier
from runtime.documents.accuracy.accuracy_model import Setting

ALLOWED = Allowed(top_k={0: (8,), 1: (8, 4), 2: (8, 4), 3: (8, 4)}, removable=frozenset({1, 2, 3}), most_removed=2)
LOST = {1: 0.01, 2: 0.2, 3: 0.05}


def scores(settings: Sequence[Setting]) -> list[float]:
    return [
        0.9 - sum(LOST[block] for block in LOST if block not in one.layers) - 0.001 * one.top_k.count(4)
        for one in settings
    ]


def cost_ms(setting: Setting) -> float:
    return len(setting.layers) + sum(setting.top_k) / 10


def test_the_whole_model_comes_first_and_each_is_quicker_and_worse() -> None:
    found = frontier(ALLOWED, scores, cost_ms, most=20)
    assert found[0].setting == ALLOWED.whole
    assert all(one.ms > other.ms and one.score > other.score for one, other in pairwise(found))


def test_the_best_blocks_go_first_and_experts_before_dear_blocks() -> None:
    found = [one.setting for one in frontier(ALLOWED, scores, cost_ms, most=20)]
    assert Setting(layers=(0, 2, 3), top_k=(8, 4, 4)) in found
    assert found[-1] == Setting(layers=(0, 2), top_k=(8, 4))


def test_limits_of_what_is_allowed_are_kept() -> None:
    found = frontier(ALLOWED, scores, cost_ms, most=100)
    assert all(0 in one.setting.layers and len(one.setting.layers) >= 2 for one in found)
    assert all(
        k in ALLOWED.top_k[block]
        for one in found
        for block, k in zip(one.setting.layers, one.setting.top_k, strict=True)
    )


def test_no_more_are_returned_than_asked_for_with_both_ends_among_them() -> None:
    every, few = frontier(ALLOWED, scores, cost_ms, most=100), frontier(ALLOWED, scores, cost_ms, most=3)
    assert len(few) == 3 and (few[0], few[-1]) == (every[0], every[-1])
