"""What the whole model can do: how long it takes alone, and how many requests a second together."""

import asyncio
import itertools
import statistics
import time
from collections.abc import Iterator, Sequence

from profiles.benchmarks.serving.drive import Answering, Policy
from profiles.benchmarks.serving.questions import LoadQuestion

UNLIMITED_MS = 1e9


def alone_ms(family: Answering, questions: Sequence[LoadQuestion], policy: Policy, *, count: int) -> float:
    """The median time of an answer, of so many one after the other."""
    return statistics.median(asyncio.run(_in_turn(family, questions, policy, count)))


def capacity_per_s(
    family: Answering, questions: Sequence[LoadQuestion], policy: Policy, *, rows: int, seconds: float
) -> float:
    """Answers a second while `rows` requests are always in progress."""
    return asyncio.run(_together(family, questions, policy, rows=rows, seconds=seconds))


async def _in_turn(family: Answering, questions: Sequence[LoadQuestion], policy: Policy, count: int) -> Sequence[float]:
    times = []
    for question in itertools.islice(_spread(questions), count):
        began = time.monotonic()
        await family.generate_async(policy.request(question, UNLIMITED_MS))
        times.append(1e3 * (time.monotonic() - began))
    return times


async def _together(
    family: Answering, questions: Sequence[LoadQuestion], policy: Policy, *, rows: int, seconds: float
) -> float:
    following, ended = _spread(questions), list[float]()
    begin = time.monotonic() + seconds / 4  # by then all rows are taken, each at another place of its answer
    end = begin + seconds

    async def client() -> None:
        while time.monotonic() < end:
            await family.generate_async(policy.request(next(following), UNLIMITED_MS))
            ended.append(time.monotonic())

    await asyncio.gather(*(client() for _ in range(rows)))
    return sum(begin < moment <= end for moment in ended) / seconds


def _spread(questions: Sequence[LoadQuestion]) -> Iterator[LoadQuestion]:
    """All questions, over and over, neighbours far apart, so that any few of them are of all kinds."""
    step = next(one for one in (7919, 104729, 1) if len(questions) % one)  # a prime that visits all
    return (questions[number * step % len(questions)] for number in itertools.count())
