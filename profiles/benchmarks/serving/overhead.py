"""What a family adds to its bare engine for one request at a time."""

import statistics
import time
from collections.abc import Callable, Sequence

from profiles.benchmarks.serving.drive import Policy
from profiles.benchmarks.serving.opening import Opened
from profiles.benchmarks.serving.questions import LoadQuestion
from runtime.engines.greedy import generate
from runtime.engines.prompts import Question

NO_BUDGET_MS = 1e9


def overhead(found: Opened, questions: Sequence[LoadQuestion], policy: Policy, variant: str) -> float:
    """How many times as long answers take by the family as by a loop over its engine, reading questions and making
    texts included: the median over the questions, each asked in both ways in turn."""

    def bare(question: LoadQuestion) -> None:
        request = question.request
        asked = Question(text=request.text, image=request.image)
        prompts = found.reader.read((asked,), variant=variant)
        most = request.sampling.max_tokens
        assert most is not None  # every question of a load says it
        found.reader.texts(generate(found.engine, prompts, max_new_tokens=most, ends=found.reader.ends))

    def served(question: LoadQuestion) -> None:
        found.family.generate(policy.request(question, NO_BUDGET_MS))

    ratios = []
    for place, question in enumerate(questions):
        ways = (bare, served) if place % 2 else (served, bare)
        took = {way: _seconds(way, question) for way in ways}
        ratios.append(took[served] / took[bare])
    return statistics.median(ratios)


def _seconds(way: Callable[[LoadQuestion], None], question: LoadQuestion) -> float:
    began = time.perf_counter()
    way(question)
    return time.perf_counter() - began
