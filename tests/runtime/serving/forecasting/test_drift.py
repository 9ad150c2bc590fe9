"""Drift: it converges, is bounded, and a single outcome moves it little."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.serving.forecasting.drift import DECODE, FIRST_TOKEN, LEAST, MOST, Drift


def learned(ratios: list[float], part: str = DECODE) -> Drift:
    drift = Drift()
    for ratio in ratios:
        drift.observe(part, actual_ms=10.0 * ratio, predicted_ms=10.0)
    return drift


@pytest.mark.parametrize("ratio", [0.6, 1.0, 1.4, 2.5])
def test_it_converges_to_the_ratio_of_noisy_outcomes(ratio: float) -> None:
    rng = random.Random(0)
    drift = learned([ratio * rng.lognormvariate(0.0, 0.1) for _ in range(300)])
    assert drift.ratio(DECODE) == pytest.approx(ratio, rel=0.1)
    assert drift.count(DECODE) == 300
    assert dict(drift) == {FIRST_TOKEN: 1.0, DECODE: drift.ratio(DECODE)}


def test_one_stalled_answer_in_twenty_hardly_counts() -> None:
    assert learned([1.0 if number % 20 else 100.0 for number in range(1, 400)]).ratio(DECODE) < 1.1


@given(st.lists(st.floats(1e-6, 1e6), max_size=200))
def test_it_stays_within_its_bounds(ratios: list[float]) -> None:
    assert LEAST - 1e-9 <= learned(ratios).ratio(DECODE) <= MOST + 1e-9


@pytest.mark.parametrize(("actual", "predicted"), [(0.0, 1.0), (1.0, 0.0), (float("nan"), 1.0), (float("inf"), 1.0)])
def test_what_is_no_time_teaches_nothing(actual: float, predicted: float) -> None:
    drift = Drift()
    drift.observe(FIRST_TOKEN, actual_ms=actual, predicted_ms=predicted)
    assert (drift.ratio(FIRST_TOKEN), drift.count(FIRST_TOKEN)) == (1.0, 0)
