"""Scores of the five tasks: which metric scores which task."""

from collections.abc import Sequence

from profiles.metrics.anls import ANLS
from profiles.metrics.caption import CAPTION_MATCH
from profiles.metrics.catalogue import find_metric
from profiles.metrics.choice import MULTIPLE_CHOICE
from profiles.metrics.exact import EXACT_MATCH
from profiles.metrics.normalisation.cleanup import clean_prediction
from profiles.metrics.vqa import VQA_SCORE
from profiles.sample import Sample

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


def task_score(task: str, samples: Sequence[Sample], predictions: Sequence[str]) -> float:
    """Mean score of generated texts, between 0 and 1. Raises ValueError when there are none or their numbers differ."""
    if not samples or len(samples) != len(predictions):
        raise ValueError(f"{task}: {len(predictions)} predictions for {len(samples)} samples")
    scores = find_metric(METRICS[task]).score(samples, [clean_prediction(text) for text in predictions])
    return sum(scores) / len(scores)
