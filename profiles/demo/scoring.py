"""Scores of the five tasks: which metric judges which task."""

from collections.abc import Callable, Mapping, Sequence

from profiles.datasets.digits.tasks import Sample
from profiles.metrics.anls import ANLS, anls
from profiles.metrics.caption import CAPTION_MATCH, caption_match
from profiles.metrics.choice import MULTIPLE_CHOICE, multiple_choice
from profiles.metrics.exact import EXACT_MATCH, exact_match
from profiles.metrics.normalisation.cleanup import clean_prediction
from profiles.metrics.vqa import VQA_SCORE, vqa_score

METRICS = {
    "digits-vqa": VQA_SCORE,
    "digits-count": EXACT_MATCH,
    "digits-mc": MULTIPLE_CHOICE,
    "digits-read": ANLS,
    "digits-caption": CAPTION_MATCH,
}
"""Metric id of each task. Captions count as right or wrong here, because CIDEr is no accuracy and cannot be averaged
with others."""

LONGEST_ANSWERS = {"digits-vqa": 4, "digits-count": 3, "digits-mc": 3, "digits-read": 6, "digits-caption": 11}
"""Tokens generated at most for each task, the end token included: one or two more than the longest right answer has."""

_SCORERS: Mapping[str, Callable[[Sample, str], float]] = {
    VQA_SCORE: lambda sample, text: vqa_score(sample.answers, text),
    EXACT_MATCH: lambda sample, text: exact_match(sample.answers, text),
    MULTIPLE_CHOICE: lambda sample, text: multiple_choice(sample.options, sample.answer_index, text),
    ANLS: lambda sample, text: anls(sample.answers, text),
    CAPTION_MATCH: lambda sample, text: caption_match(sample.references, text),
}


def task_score(task: str, samples: Sequence[Sample], predictions: Sequence[str]) -> float:
    """Mean score of generated texts, between 0 and 1. Raises ValueError when there are none or their numbers differ."""
    if not samples or len(samples) != len(predictions):
        raise ValueError(f"{task}: {len(predictions)} predictions for {len(samples)} samples")
    scorer = _SCORERS[METRICS[task]]
    scores = [scorer(sample, clean_prediction(text)) for sample, text in zip(samples, predictions, strict=True)]
    return sum(scores) / len(scores)
