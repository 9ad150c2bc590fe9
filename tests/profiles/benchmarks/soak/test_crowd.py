"""A crowd of clients: bounded in time, number and rate, and nothing that goes wrong is lost."""

import random
import time

import pytest

from profiles.benchmarks.soak.crowd import Crowd, told
from profiles.benchmarks.soak.good import SoakError


def fine(rng: random.Random) -> str:
    return "answered"


def wrong(rng: random.Random) -> str:
    raise SoakError("it answered '7'")


def lost(rng: random.Random) -> str:
    raise ConnectionResetError("reset")


def test_everything_is_counted_and_bounded() -> None:
    crowd = Crowd({"fine": (fine, 3), "wrong": (wrong, 1), "lost": (lost, 1)}, clients=4, rate=400.0, seed=0)
    began = time.monotonic()
    crowd.run(0.25, lambda seconds: None)
    assert time.monotonic() - began < 5
    counts, problems = crowd.tally.counts, crowd.tally.problems
    assert 0 < counts["fine", "answered"] <= 104
    assert "wrong: it answered '7'" in problems
    assert "lost: no answer that could be read: ConnectionResetError: reset" in problems


def test_nothing_is_sent_during_a_pause() -> None:
    crowd = Crowd({"fine": (fine, 1)}, clients=3, rate=600.0, seed=0)

    def meanwhile(seconds: float) -> None:
        time.sleep(0.05)
        assert crowd.pause(5.0)
        before = crowd.tally.counts.total()
        time.sleep(0.05)
        assert crowd.tally.counts.total() == before > 0
        crowd.go_on()

    crowd.run(0.3, meanwhile)
    assert crowd.tally.counts.total() > 0


def test_a_fault_of_the_program_is_not_taken_for_one_of_the_server() -> None:
    def broken(rng: random.Random) -> str:
        raise AttributeError("typing error")

    crowd = Crowd({"broken": (broken, 1)}, clients=1, rate=10.0, seed=0)
    with pytest.raises(AttributeError):
        crowd.take("broken", random.Random(0))


def test_counts_are_told_by_action() -> None:
    counts = {("stream", "streamed"): 3, ("bomb", "refused"): 2, ("bomb", "cut off"): 1}
    assert list(told(counts)) == ["bomb            cut off 1, refused 2", "stream          streamed 3"]
