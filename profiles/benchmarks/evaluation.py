"""Measures how much faster an engine answers in batches than one sample at a time: medians of interleaved rounds, in
one run."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from profiles.accuracy.answerer import Answerer, SampleQuestion
from profiles.accuracy.evaluation.batches import make_batches, with_following
from profiles.datasets.dataset import Dataset, fill_prompt

TARGET = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class EvalRate:
    """Median seconds for all `samples` of a data set, one at a time and in batches of up to `batch_size`, and how many
    answers came out the same."""

    dataset: str
    samples: int
    batch_size: int
    alone_s: float
    batched_s: float
    same: int

    @property
    def ratio(self) -> float:
        """How many times as fast batches are."""
        return self.alone_s / self.batched_s


def bench_eval(
    answerer: Answerer, datasets: Sequence[Dataset], *, batch_size: int, rounds: int, say: Callable[[str], None]
) -> tuple[EvalRate, ...]:
    """Answer every sample in batches and one at a time, in turn, `rounds` times after a first batch and a first sample
    that warm up.

    Reading and preparing the images counts, as in `trimoe eval`; loading the engine does not.
    """
    times: dict[tuple[str, int], list[float]] = {}
    answers: dict[tuple[str, int], list[str]] = {}
    for number in range(1, rounds + 1):
        for dataset in datasets:
            say(f"round {number} of {rounds}, {dataset.name}")
            questions = [
                SampleQuestion(prompt=fill_prompt(dataset.settings.prompt, sample), sample=sample)
                for sample in dataset.samples
            ]
            for size in (batch_size, 1):
                if number == 1:
                    answerer.answer(questions[:size], max_new_tokens=dataset.settings.max_new_tokens)
                seconds, found = _answer(answerer, questions, size, dataset.settings.max_new_tokens)
                times.setdefault((dataset.name, size), []).append(seconds)
                answers[dataset.name, size] = found
    return tuple(
        EvalRate(
            dataset=dataset.name,
            samples=len(dataset.samples),
            batch_size=min(batch_size, len(dataset.samples)),
            alone_s=statistics.median(times[dataset.name, 1]),
            batched_s=statistics.median(times[dataset.name, batch_size]),
            same=sum(
                one == other
                for one, other in zip(answers[dataset.name, 1], answers[dataset.name, batch_size], strict=True)
            ),
        )
        for dataset in datasets
    )


def _answer(
    answerer: Answerer, questions: Sequence[SampleQuestion], size: int, max_new_tokens: int
) -> tuple[float, list[str]]:
    """Seconds for all questions in batches of `size`, and the answers in order."""
    found: dict[int, str] = {}
    begin = time.perf_counter()
    for batch, following in with_following(make_batches(questions, size)):
        chosen, ahead = ([questions[place] for place in places] for places in (batch, following))
        found.update(zip(batch, answerer.answer(chosen, max_new_tokens=max_new_tokens, following=ahead), strict=True))
    return time.perf_counter() - begin, [found[place] for place in range(len(questions))]


def whole_rate(rates: Sequence[EvalRate]) -> EvalRate:
    """All data sets as one: what a whole evaluation gains. Its batches are as large as the largest."""
    return EvalRate(
        dataset="all",
        samples=sum(rate.samples for rate in rates),
        batch_size=max(rate.batch_size for rate in rates),
        alone_s=sum(rate.alone_s for rate in rates),
        batched_s=sum(rate.batched_s for rate in rates),
        same=sum(rate.same for rate in rates),
    )
