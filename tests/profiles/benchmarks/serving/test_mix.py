"""Mixes of requests: the same for the same seed, at the rate and with the budgets that are asked for."""

import itertools
from collections import Counter

import pytest

from profiles.benchmarks.serving.mix import budgets_of, poisson_mix
from profiles.benchmarks.serving.questions import ANSWER_TOKENS, PROMPT_TOKENS, dataset_questions, token_questions
from profiles.datasets.digits.dataset import demo_dataset


def test_a_mix_is_its_seed_s() -> None:
    settings = {"seconds": 5.0, "rate": 20.0, "questions": 7, "budgets_ms": (1.0, 2.0)}
    assert poisson_mix(seed=3, **settings) == poisson_mix(seed=3, **settings) != poisson_mix(seed=4, **settings)


def test_arrivals_come_at_the_rate_and_ask_everything_with_every_budget() -> None:
    found = poisson_mix(seed=0, seconds=100.0, rate=20.0, questions=5, budgets_ms=(10.0, 30.0))
    gaps = [after.at_s - before.at_s for before, after in itertools.pairwise(found)]
    assert len(found) == pytest.approx(2000, rel=0.1) and min(gaps) > 0
    assert sum(gap > 0.05 for gap in gaps) / len(gaps) == pytest.approx(0.368, abs=0.03)  # 1/e wait longer than 1/rate
    assert set(Counter(one.question for one in found)) == set(range(5))
    assert Counter(one.budget_ms for one in found)[10.0] == pytest.approx(1000, rel=0.15)
    assert all(0 <= one.at_s < 100 for one in found)


def test_budgets_go_from_what_the_whole_model_hardly_keeps_to_what_a_queue_fits_into() -> None:
    assert budgets_of(10.0) == (15.0, 30.0, 60.0, 120.0, 240.0)


def test_random_texts_have_the_lengths_and_tokens_that_are_asked_for() -> None:
    found = token_questions(range(3, 9), 50, seed=1)
    assert found == token_questions(range(3, 9), 50, seed=1)
    for one in found:
        ids = [int(text) for text in one.request.text.split()]
        assert PROMPT_TOKENS[0] <= len(ids) <= PROMPT_TOKENS[1] and set(ids) <= set(range(3, 9))
        assert ANSWER_TOKENS[0] <= (one.request.sampling.max_tokens or 0) <= ANSWER_TOKENS[1]
        assert one.score("anything") is None


def test_a_question_of_the_demo_knows_what_is_right() -> None:
    (question,) = dataset_questions([demo_dataset("digits-count", 1)])
    dataset = question.dataset
    assert dataset is not None and question.request.image is not None
    assert (question.request.wish.task, question.request.sampling.max_tokens) == ("digits-count", 12)
    assert question.score(f" {dataset.samples[0].answers[0]}") == 1.0
    assert question.score(" none of these") == 0.0
