"""Tokens drawn as their probabilities say, whatever else is in the batch."""

import numpy as np
import pytest

from runtime.serving.batching.answering.log_probabilities import log_probability, most_likely
from runtime.serving.batching.answering.sampler import NOT_FINITE, Draw, Sampler, draw
from runtime.serving.request import Sampling


def logits(rows: int, vocabulary: int = 50, seed: int = 0) -> np.ndarray:
    return (3 * np.random.default_rng(seed).normal(size=(rows, vocabulary))).astype(np.float32)


def rows(count: int) -> list[Draw]:
    """Every third one greedy, the others with a seed each."""
    return [
        Draw.of(
            Sampling(temperature=0.0 if place % 3 == 0 else 0.5 + place / 4, top_p=(1.0, 0.8)[place % 2], seed=place)
        )
        for place in range(count)
    ]


def test_without_temperature_the_most_likely_token_is_chosen_the_first_of_equal_ones() -> None:
    values = logits(3)
    values[1, [4, 9]] = 99
    assert Sampler([Draw.of(Sampling())] * 3).choose(values) == values.argmax(axis=-1).tolist()
    assert Sampler([Draw.of(Sampling())] * 3).choose(values)[1] == 4


def test_what_a_row_draws_depends_on_its_seed_and_logits_alone() -> None:
    values = [logits(9, seed=step) for step in range(20)]
    together, alone = Sampler(rows(9)), [Sampler([row]) for row in rows(9)]
    for step in values:
        assert together.choose(step) == [one.choose(step[place : place + 1])[0] for place, one in enumerate(alone)]


def test_another_seed_or_none_draws_others() -> None:
    values = logits(1, 5000)
    drawn = [
        Sampler([Draw.of(Sampling(temperature=9.0, seed=seed))]).choose(values)[0] for seed in (1, 2, 3, 3, None, None)
    ]
    assert drawn[2] == drawn[3] and len(set(drawn)) == 5


def test_tokens_come_as_often_as_their_probabilities_say() -> None:
    shares = np.asarray([0.1, 0.4, 0.2, 0.3])
    rng = np.random.default_rng(0)
    counts = np.bincount([draw(shares, top_p=1.0, number=rng.random()) for _ in range(4000)], minlength=4)
    assert np.abs(counts / 4000 - shares).max() < 0.03


@pytest.mark.parametrize(
    ("top_p", "kept"), [(1.0, {0, 1, 2, 3}), (0.95, {0, 1, 2, 3}), (0.8, {1, 2, 3}), (0.7, {1, 3}), (0.0, {1})]
)
def test_only_the_most_likely_that_have_top_p_together_are_drawn(top_p: float, kept: set[int]) -> None:
    shares = np.asarray([0.1, 0.4, 0.2, 0.3])
    assert {draw(shares, top_p=top_p, number=number) for number in np.linspace(0, 1, 101)} == kept


def test_equal_probabilities_are_cut_by_id() -> None:
    shares = np.full(10, 0.1)
    assert {draw(shares, top_p=0.45, number=number) for number in np.linspace(0, 1, 101)} == set(range(5))


@pytest.mark.parametrize("temperature", [1e-300, 1e-6, 1e6])
def test_extreme_temperatures_draw_without_a_warning(temperature: float) -> None:
    values = logits(1)
    (token,) = Sampler([Draw.of(Sampling(temperature=temperature, seed=1))]).choose(values)
    assert 0 <= token < 50 and (temperature > 1 or token == values.argmax())


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_rows_that_are_no_numbers_choose_nothing_and_others_choose_as_ever(wrong: float) -> None:
    values, broken = logits(9), logits(9)
    broken[[0, 4], 7] = wrong
    found, expected = Sampler(rows(9)).choose(broken), Sampler(rows(9)).choose(values)
    assert found == [NOT_FINITE if place in (0, 4) else token for place, token in enumerate(expected)]


def test_log_probabilities_are_those_of_the_model_and_the_most_likely_come_first() -> None:
    values = logits(1)[0]
    found = log_probability(values, 7, count=4, texts=lambda tokens: [f"<{row[0]}>" for row in tokens])
    expected = np.log(np.exp(values.astype(np.float64)) / np.exp(values.astype(np.float64)).sum())
    assert found.value == pytest.approx(expected[7]) and (found.token, found.text) == (7, "<7>")
    order = np.argsort(-values)[:4].tolist()
    assert [(token, text) for token, text, _ in found.most_likely] == [(token, f"<{token}>") for token in order]
    assert [value for *_, value in found.most_likely] == pytest.approx(expected[order].tolist())


def test_of_equal_log_probabilities_the_lower_id_comes_first_and_no_more_than_there_are() -> None:
    assert most_likely(np.asarray([1.0, 3.0, 3.0, 2.0]), 2) == [1, 2]
    assert most_likely(np.asarray([1.0, 3.0]), 9) == [1, 0]
    assert most_likely(np.asarray([1.0]), 0) == []
