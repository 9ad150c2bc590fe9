"""Held-out questions under shrinking budgets: who answers, how long it was to take and took, and if it is right."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from profiles.accuracy.evaluation.evaluate import score_answers
from profiles.datasets.dataset import Dataset, fill_prompt
from profiles.datasets.digits.dataset import DEMO_TASKS, demo_dataset
from profiles.metrics.catalogue import find_metric
from runtime.selection.choice import NoFeasibleVariantError
from runtime.serving.answer import Answer
from runtime.serving.family import Family
from runtime.serving.request import Request, Sampling, Wish

TOO_LITTLE = 0.5  # of what the fastest variant needs


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A question that was answered: its data set, and whether the answer has the full score."""

    dataset: str
    question: str
    answer: Answer
    right: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What was asked within `ms` milliseconds (None: as long as it takes), or why nothing was."""

    ms: float | None
    asked: tuple[Asked, ...]
    refused: str = ""


def held_out(count: int) -> tuple[Dataset, ...]:
    """`count` samples of each of the demo's data sets. Raises MissingToolError."""
    return tuple(demo_dataset(task).limited(count) for task in DEMO_TASKS)


def ask_under_budgets(family: Family, datasets: Sequence[Dataset]) -> Iterator[Budget]:
    """One question of each data set without a budget, then under the upper bounds of ever faster variants, then under
    one that is too small for all."""
    limits = (None, *_bounds(family, datasets[0]))
    for place, ms in enumerate(limits):
        yield _ask(family, [_only(dataset, place) for dataset in datasets], ms)


def _bounds(family: Family, dataset: Dataset) -> tuple[float, ...]:
    """Budgets, the largest first."""
    choice = family.choose(_request(dataset, None))
    candidates = (choice.candidate, *(reason.candidate for reason in choice.reasons))
    bounds = sorted({one.upper_ms for one in candidates if one.upper_ms is not None})
    places = (len(bounds) - 1, len(bounds) // 2, 1 if len(bounds) > 1 else 0)
    roomy = 1.15  # other data sets' questions are longer than this one
    return (*(roomy * bounds[place] for place in places), TOO_LITTLE * bounds[0])


def _ask(family: Family, datasets: Sequence[Dataset], ms: float | None) -> Budget:
    asked: list[Asked] = []
    for dataset in datasets:
        try:
            answer = family.generate(_request(dataset, ms))
        except NoFeasibleVariantError as error:
            return Budget(ms=ms, asked=tuple(asked), refused=str(error))
        score = score_answers(dataset, [answer.text]).scores[0]
        right = score >= find_metric(dataset.settings.metric).highest
        asked.append(Asked(dataset=dataset.name, question=dataset.samples[0].question, answer=answer, right=right))
    return Budget(ms=ms, asked=tuple(asked))


def _only(dataset: Dataset, place: int) -> Dataset:
    return replace(dataset, samples=(dataset.samples[place % len(dataset.samples)],))


def _request(dataset: Dataset, ms: float | None) -> Request:
    sample, settings = dataset.samples[0], dataset.settings
    return Request(
        text=fill_prompt(settings.prompt, sample),
        image=sample.open_image(),
        sampling=Sampling(max_tokens=settings.max_new_tokens),
        wish=Wish(budget_ms=ms, task=settings.task),
    )
