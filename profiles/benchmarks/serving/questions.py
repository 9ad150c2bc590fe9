"""What a load asks: the demo's held-out questions, whose answers are known, or texts of random tokens."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from profiles.datasets.dataset import Dataset, fill_prompt, scored_sample
from profiles.metrics.catalogue import find_metric
from profiles.metrics.normalisation.cleanup import find_cleanup
from runtime.serving.request import Request, Sampling, Wish

PROMPT_TOKENS = (16, 96)  # of random texts
ANSWER_TOKENS = (4, 12)


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadQuestion:
    """A request without limits, and the data set and place of the sample that scores its answer (None: nobody knows
    what is right)."""

    request: Request
    dataset: Dataset | None = None
    place: int = 0

    def score(self, text: str) -> float | None:
        """What an answer is worth, as a share; None where nothing is known."""
        if self.dataset is None:
            return None
        settings, sample = self.dataset.settings, self.dataset.samples[self.place]
        metric, clean = find_metric(settings.metric), find_cleanup(settings.cleanup)
        return metric.score((scored_sample(settings.prompt, sample),), (clean(text),))[0] / metric.highest


def dataset_questions(datasets: Sequence[Dataset]) -> tuple[LoadQuestion, ...]:
    """The questions of all data sets, the images decoded. Raises DatasetError."""
    return tuple(_question(dataset, place) for dataset in datasets for place in range(len(dataset.samples)))


def token_questions(tokens: Sequence[int], count: int, *, seed: int) -> tuple[LoadQuestion, ...]:
    """Texts of random ones of these tokens, as ids between spaces, and lengths of answers to them."""
    rng = random.Random(f"{seed} questions")
    found = []
    for _ in range(count):
        ids = (str(rng.choice(tokens)) for _ in range(rng.randint(*PROMPT_TOKENS)))
        sampling = Sampling(max_tokens=rng.randint(*ANSWER_TOKENS))
        found.append(LoadQuestion(request=Request(text=" ".join(ids), sampling=sampling)))
    return tuple(found)


def _question(dataset: Dataset, place: int) -> LoadQuestion:
    sample, settings = dataset.samples[place], dataset.settings
    request = Request(
        text=fill_prompt(settings.prompt, sample),
        image=sample.open_image(),
        sampling=Sampling(max_tokens=settings.max_new_tokens),
        wish=Wish(task=dataset.name),
    )
    return LoadQuestion(request=request, dataset=dataset, place=place)
