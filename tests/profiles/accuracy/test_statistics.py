"""Intervals and tests: known values, and rates by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.accuracy.statistics import (
    bootstrap_interval,
    drop_p_value,
    holm,
    lower_bound,
    mcnemar_p_value,
    required_samples,
    resampled_moments,
    sign_flip_p_value,
    smoothed,
    t_p_value,
)


@pytest.mark.parametrize(
    ("worse", "better", "expected"),
    [
        (0, 0, 1.0),
        (1, 0, 0.25),
        (5, 0, 1 / 64),
        (3, 1, 1 / 16 + 0.5 * 4 / 16),
        (0, 4, 1 - 0.5 / 16),
        (10, 10, 0.5),
    ],
)
def test_mcnemar_is_the_binomial_tail_with_half_the_observed_count(worse: int, better: int, expected: float) -> None:
    assert mcnemar_p_value(worse, better) == pytest.approx(expected)


def test_mcnemar_of_many_changes_is_near_the_normal_approximation() -> None:
    statistic = (600 - 400) / math.sqrt(1000)
    assert mcnemar_p_value(520, 480) == pytest.approx(0.5 * math.erfc(40 / math.sqrt(1000) / math.sqrt(2)), abs=3e-4)
    assert 0 < mcnemar_p_value(600, 400) < math.erfc(statistic / 2)


@given(st.lists(st.sampled_from([-1.0, 1.0]), min_size=1, max_size=12))
def test_flipping_signs_of_whole_changes_is_mcnemars_test(changed: list[float]) -> None:
    values = np.array(changed)
    assert sign_flip_p_value(values) == pytest.approx(mcnemar_p_value(int((values < 0).sum()), int((values > 0).sum())))


@pytest.mark.parametrize(
    ("given_values", "expected"),
    [((0.01, 0.04, 0.03), (0.03, 0.06, 0.06)), ((0.5, 0.9), (1.0, 1.0)), ((0.02,), (0.02,)), ((), ())],
)
def test_holm_multiplies_the_smallest_by_the_number_and_keeps_the_order(given_values: tuple, expected: tuple) -> None:
    assert holm(given_values) == pytest.approx(expected)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_a_p_value_nor_changes_the_ranking(values: list[float]) -> None:
    adjusted = holm(values)
    assert all(after >= before or after == 1.0 for before, after in zip(values, adjusted, strict=True))
    order = sorted(range(len(values)), key=lambda index: values[index])
    assert [adjusted[index] for index in order] == sorted(adjusted)


def test_resampled_means_have_the_standard_error_whether_values_are_few_or_many() -> None:
    rng = np.random.default_rng(1)
    for values in (rng.choice([0.0, 1 / 3, 1.0], size=300), rng.random(300)):
        means, squares = resampled_moments(values, resamples=4000, seed=0)
        assert means.mean() == pytest.approx(values.mean(), abs=0.005)
        assert means.std() == pytest.approx(values.std() / math.sqrt(300), rel=0.06)
        assert squares.mean() == pytest.approx((values**2).mean(), abs=0.005)
        assert (squares >= means**2 - 1e-12).all()


def test_an_interval_is_the_same_every_time_and_contains_the_mean() -> None:
    values = np.array([0.0, 1.0, 1.0, 1 / 3] * 25)
    first = bootstrap_interval(values, level=0.95, resamples=2000, seed=0)
    assert first == bootstrap_interval(values, level=0.95, resamples=2000, seed=0)
    assert first[0] < values.mean() < first[1]


@pytest.mark.parametrize(
    ("score", "count", "highest", "expected"),
    [
        (1.0, 20, 1.0, (0.8316, 1.0)),  # Clopper–Pearson of 20 in 20
        (0.0, 20, 1.0, (0.0, 0.1684)),
        (1.0, 1, 1.0, (0.025, 1.0)),
        (0.5, 20, 1.0, (0.4158, 0.5842)),
        (0.0, 20, 10.0, (0.0, 1.68433)),
    ],
)
def test_an_interval_of_equal_scores_has_the_width_that_so_few_samples_leave(
    score: float, count: int, highest: float, expected: tuple[float, float]
) -> None:
    found = bootstrap_interval(np.full(count, score), level=0.95, resamples=100, seed=0, highest=highest)
    assert found == pytest.approx(expected, abs=5e-5)


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(400):
        low, high = bootstrap_interval(rng.choice([0.0, 1.0], p=[0.3, 0.7], size=200), level=0.9, resamples=500, seed=0)
        covered += low <= 0.7 <= high
    assert 0.86 <= covered / 400 <= 0.94


def test_no_difference_is_no_drop_and_a_sure_drop_is_one() -> None:
    assert drop_p_value(np.zeros(100), tolerance=0.0, resamples=100, seed=0) == 1.0
    assert drop_p_value(np.full(100, -0.5), tolerance=0.1, resamples=100, seed=0) == 0.0
    assert drop_p_value(np.full(100, -0.5), tolerance=0.5, resamples=100, seed=0) == 1.0
    assert drop_p_value(np.full(3, -0.5), tolerance=0.0, resamples=100, seed=0) == pytest.approx(1 / 16)


def test_few_changed_samples_are_judged_no_bolder_than_by_the_exact_test() -> None:
    differences = np.array([-1.0] * 4 + [0.0] * 196)
    assert drop_p_value(differences, tolerance=0.0, resamples=500, seed=0) == pytest.approx(1 / 32)


@pytest.mark.parametrize(
    ("count", "statistic", "expected"),
    [
        (5, -2.132, 0.05),
        (10, -1.833, 0.05),
        (10, 2.821, 0.99),
        (30, -2.462, 0.01),
        (200, 0.0, 0.5),
        (1000, -1.646, 0.05),
    ],
)
def test_the_t_test_has_the_quantiles_of_its_table(count: int, statistic: float, expected: float) -> None:
    values = np.array([(-1.0) ** place for place in range(count)])
    values = values - values.mean()
    values += statistic * values.std(ddof=1) / math.sqrt(count)
    assert t_p_value(values, tolerance=0.0) == pytest.approx(expected, abs=0.001)
    assert t_p_value(values - 0.3, tolerance=0.3) == pytest.approx(t_p_value(values, tolerance=0.0))


def test_scores_without_a_bound_are_judged_no_bolder_than_by_the_t_test() -> None:
    differences = np.random.default_rng(0).standard_t(3, size=100) - 0.35
    assert np.abs(differences).max() > 1
    assert (
        drop_p_value(differences, tolerance=0.0, resamples=500, seed=0) >= t_p_value(differences, tolerance=0.0) > 0.001
    )


@pytest.mark.slow
@pytest.mark.parametrize("count", [100, 400])
def test_the_drop_test_of_long_tailed_scores_rejects_no_more_often_than_its_level(count: int) -> None:
    rng = np.random.default_rng(11)
    p_values = []
    for seed in range(1500):
        differences = np.where(rng.random(count) < 0.3, rng.standard_t(4, size=count), 0.0)
        p_values.append(drop_p_value(differences, tolerance=0.0, resamples=1000, seed=seed))
    assert 0.03 <= np.mean(np.array(p_values) <= 0.05) <= 0.07
    assert np.mean(np.array(p_values) <= 0.05 / 8) <= 0.011  # Holm's strictest step of eight


@pytest.mark.parametrize("tolerance", [0.0, 0.02])
def test_the_drop_test_rejects_a_true_drop_of_the_tolerance_as_often_as_its_level(tolerance: float) -> None:
    rng = np.random.default_rng(3)
    share = [(0.1 + tolerance) / 2, (0.1 - tolerance) / 2, 0.9]
    rejected = sum(
        drop_p_value(rng.choice([-1.0, 1.0, 0.0], p=share, size=600), tolerance=tolerance, resamples=500, seed=0)
        <= 0.05
        for _ in range(800)
    )
    assert 0.03 <= rejected / 800 <= 0.07


def test_the_required_number_of_samples_gives_the_promised_power() -> None:
    rng = np.random.default_rng(4)
    count = required_samples(math.sqrt(0.1), effect=0.02, alpha=0.05, power=0.9)
    assert count == 2141
    caught = sum(
        mcnemar_p_value(*(int(number) for number in rng.multinomial(count, [0.06, 0.04, 0.9])[:2])) <= 0.05
        for _ in range(2000)
    )
    assert 0.88 <= caught / 2000 <= 0.92


def test_a_handful_of_unchanged_samples_does_not_bound_the_change() -> None:
    assert lower_bound(np.zeros(10), confidence=0.9) < -0.1
    assert -0.02 < lower_bound(np.zeros(200), confidence=0.9) < 0
    assert smoothed(np.zeros(8)) == (0.0, pytest.approx(math.sqrt(0.2)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: resampled_moments(np.array([]), resamples=10, seed=0), "no values to resample"),
        (lambda: bootstrap_interval(np.array([]), level=0.9, resamples=10, seed=0), "no values to resample"),
        (lambda: drop_p_value(np.array([]), tolerance=0.0, resamples=10, seed=0), "no differences to test"),
        (
            lambda: required_samples(1.0, effect=0.0, alpha=0.05, power=0.9),
            "the effect to detect must be positive, not 0",
        ),
    ],
)
def test_what_has_no_answer_is_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(("size", "kept", "drop"), [(100, 2, 1.0), (2000, 1, 1.0), (2000, 2, 1.0), (2000, 1, 1 / 3)])
def test_a_collapse_that_spares_a_few_samples_is_no_accident(size: int, kept: int, drop: float) -> None:
    differences = np.full(size, -drop)
    differences[:kept] = 0.0
    for tolerance in (0.0, 0.05):
        assert drop_p_value(differences, tolerance=tolerance, resamples=2000, seed=0) <= 1e-3
