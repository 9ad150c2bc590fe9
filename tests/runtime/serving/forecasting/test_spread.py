"""Spread: upper bounds hold as often as they should, for short and long answers, and follow the load."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.serving.forecasting.spread import ENOUGH, KEPT, MOST, Spread, margin_ms


def took(rng: random.Random, predicted_ms: float, newcomers_per_ms: float) -> float:
    """The time of an answer that each newcomer holds up by 5 ms."""
    at, ends = rng.expovariate(newcomers_per_ms), predicted_ms
    while at < ends:
        ends += 5.0
        at += rng.expovariate(newcomers_per_ms)
    return ends


@pytest.mark.parametrize("newcomers_per_ms", [0.01, 0.05, 0.1])
def test_a_share_of_answers_stays_below_the_bound_whatever_comes_meanwhile(newcomers_per_ms: float) -> None:
    rng, spread, kept = random.Random(0), Spread(quantile=0.95), dict[float, list[bool]]()
    for _ in range(4000):
        predicted_ms = rng.choice((10.0, 40.0))
        bound = predicted_ms + margin_ms(spread.excess, predicted_ms)
        actual_ms = took(rng, predicted_ms, newcomers_per_ms)
        kept.setdefault(predicted_ms, []).append(actual_ms <= bound)
        spread.observe(actual_ms=actual_ms, predicted_ms=predicted_ms)
    shares = [sum(one) / len(one) for one in kept.values()]
    assert sum(shares) / 2 > 0.93 and min(shares) > 0.85


def test_nothing_is_added_until_enough_was_seen_and_where_answers_are_quicker() -> None:
    spread = Spread()
    for _ in range(ENOUGH - 1):
        spread.observe(actual_ms=30.0, predicted_ms=10.0)
    assert spread.excess == 0.0
    spread.observe(actual_ms=30.0, predicted_ms=10.0)
    assert margin_ms(spread.excess, 10.0) == pytest.approx(20.0)
    for _ in range(KEPT):
        spread.observe(actual_ms=9.0, predicted_ms=10.0)
    assert spread.excess == 0.0


@given(st.lists(st.tuples(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6)), max_size=3 * KEPT), st.floats(1e-3, 1e5))
def test_the_margin_has_a_bound(outcomes: list[tuple[float, float]], predicted_ms: float) -> None:
    spread = Spread()
    for actual_ms, predicted in outcomes:
        spread.observe(actual_ms=actual_ms, predicted_ms=predicted)
    assert 0.0 <= margin_ms(spread.excess, predicted_ms) <= MOST * predicted_ms


@pytest.mark.parametrize(("actual", "predicted"), [(0.0, 1.0), (1.0, 0.0), (float("nan"), 1.0), (float("inf"), 1.0)])
def test_what_is_no_time_teaches_nothing(actual: float, predicted: float) -> None:
    spread = Spread()
    for _ in range(2 * ENOUGH):
        spread.observe(actual_ms=actual, predicted_ms=predicted)
    assert spread.excess == 0.0
