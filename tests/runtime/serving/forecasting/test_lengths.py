"""Lengths of answers: the cap until enough were seen, then mean and quantile of each task."""

import random

import pytest

from runtime.serving.forecasting.lengths import ENOUGH, KEPT, Length, Lengths


def test_the_cap_is_expected_until_enough_answers_were_seen() -> None:
    lengths = Lengths()
    for _ in range(ENOUGH - 1):
        lengths.learn("vqa", 3)
    assert lengths.expect("vqa", 50) == Length(mean=50.0, high=50)
    lengths.learn("vqa", 3)
    assert lengths.expect("vqa", 50) == Length(mean=3.0, high=3)
    assert lengths.expect("captioning", 50) == Length(mean=50.0, high=50)


def test_mean_and_quantile_are_those_of_the_last_answers_cut_at_the_cap() -> None:
    lengths, rng = Lengths(quantile=0.9), random.Random(0)
    seen = [rng.randint(100, 200) for _ in range(KEPT)] + [rng.randint(1, 40) for _ in range(KEPT)]
    for tokens in seen:
        lengths.learn(None, tokens)
    for cap in (10, 30, 1000):
        kept = sorted(min(tokens, cap) for tokens in seen[KEPT:])
        found = lengths.expect(None, cap)
        assert found.mean == pytest.approx(sum(kept) / KEPT)
        assert found.high == kept[int(0.9 * KEPT)]


def test_answers_that_were_cut_say_nothing_of_requests_that_allow_more() -> None:
    lengths = Lengths(quantile=0.9)
    for _ in range(KEPT):
        lengths.learn("captioning", 1, cut=True)
    assert lengths.expect("captioning", 64) == Length(mean=64.0, high=64)
    for _ in range(40):
        lengths.learn("captioning", 30)
        lengths.learn("captioning", 50, cut=True)
    assert lengths.expect("captioning", 64) == Length(mean=30.0, high=30)
    assert lengths.expect("captioning", 50) == Length(mean=40.0, high=50)
    for _ in range(KEPT):
        lengths.learn("captioning", 7)
    assert lengths.expect("captioning", 64) == Length(mean=7.0, high=7)


def test_a_quantile_is_a_share() -> None:
    with pytest.raises(ValueError, match=r"at most 1, not 1\.5"):
        Lengths(quantile=1.5)
