"""Held-out questions under shrinking budgets: who answers, how long it was to take and took, and if it is right."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle

from profiles.accuracy.evaluation.evaluate import score_answers
from profiles.datasets.dataset import Dataset, fill_prompt
from profiles.datasets.digits.dataset import DEMO_TASKS, demo_dataset
from profiles.metrics.catalogue import find_metric
from runtime.errors import DeadlineError
from runtime.selection.choice import NoFeasibleVariantError
from runtime.serving.answer import Answer
from runtime.serving.family import Family
from runtime.serving.request import Request, Sampling, Wish

LEVELS: Mapping[str, Callable[[list[float]], float | None]] = {  # a budget from the upper bounds of all variants
    "without a budget": lambda bounds: None,
    "what every variant keeps": lambda bounds: 1.4 * bounds[-1],
    "what half of them keep": lambda bounds: 1.1 * bounds[len(bounds) // 2],
    "what hardly any keeps": lambda bounds: 1.2 * bounds[0],
    "what none keeps": lambda bounds: 0.5 * bounds[0],
}
WARM_UP = 24  # answers of each task from which their lengths are known
HELD_OUT = WARM_UP + 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A question within `budget_ms` milliseconds (None: as long as it takes): its answer, None where it was refused,
    and whether that has the full score. `level` says how much the budget is, `dataset` where the question is from."""

    level: str
    dataset: str
    budget_ms: float | None
    answer: Answer | None
    right: bool = False
    refused: str = ""


def held_out() -> tuple[Dataset, ...]:
    """The demo's data sets, a few samples of each. Raises MissingToolError."""
    return tuple(demo_dataset(task).limited(HELD_OUT) for task in DEMO_TASKS)


def ask_under_budgets(family: Family, datasets: Sequence[Dataset]) -> Iterator[Asked]:
    """One question of each data set without a budget, then within ever smaller ones, the last too small for all."""
    family.prepare()
    _learn(family, datasets)
    bounds = {dataset.name: _bounds(family, dataset) for dataset in datasets}
    for place, (level, budget) in enumerate(LEVELS.items()):
        for dataset in datasets:
            yield _ask(family, _only(dataset, place), level, budget(bounds[dataset.name]))


def _learn(family: Family, datasets: Sequence[Dataset]) -> None:
    """Let each variant answer, to learn how long they take here and the answers of each task get."""
    for dataset in datasets:
        for place, variant in zip(range(WARM_UP), cycle(family.manifest.variants), strict=False):
            wish = Wish(variant=variant.id, task=dataset.settings.task)
            family.generate(_request(_only(dataset, -1 - place), wish))


def _bounds(family: Family, dataset: Dataset) -> list[float]:
    """The upper bounds of all variants on a question of the data set, the smallest first."""
    choice = family.choose(_request(_only(dataset, 0), Wish(task=dataset.settings.task)))
    candidates = (choice.candidate, *(reason.candidate for reason in choice.reasons))
    return sorted(one.upper_ms for one in candidates if one.upper_ms is not None)


def _ask(family: Family, dataset: Dataset, level: str, budget_ms: float | None) -> Asked:
    asked = Asked(level=level, dataset=dataset.name, budget_ms=budget_ms, answer=None)
    try:
        answer = family.generate(_request(dataset, Wish(budget_ms=budget_ms, task=dataset.settings.task)))
    except (NoFeasibleVariantError, DeadlineError) as error:
        return replace(asked, refused=str(error))
    score = score_answers(dataset, [answer.text]).scores[0]
    return replace(asked, answer=answer, right=score >= find_metric(dataset.settings.metric).highest)


def _only(dataset: Dataset, place: int) -> Dataset:
    return replace(dataset, samples=(dataset.samples[place % len(dataset.samples)],))


def _request(dataset: Dataset, wish: Wish) -> Request:
    sample, settings = dataset.samples[0], dataset.settings
    return Request(
        text=fill_prompt(settings.prompt, sample),
        image=sample.open_image(),
        sampling=Sampling(max_tokens=settings.max_new_tokens),
        wish=wish,
    )
