"""The demo model's held-out tasks as data sets: images that neither training nor evidence has seen."""

import io

import numpy as np

from profiles.datasets.dataset import CAPTIONING, CHOICE, COUNTING, SCENE_TEXT, VQA, Dataset, Settings
from profiles.datasets.sample import Sample
from profiles.metrics.anls import ANLS
from profiles.metrics.caption import CAPTION_MATCH
from profiles.metrics.choice import MULTIPLE_CHOICE
from profiles.metrics.cleanups import MOLMO
from profiles.metrics.exact import EXACT_MATCH
from profiles.metrics.vqa import VQA_SCORE

SPLIT = "test"
SEED = 2024
SAMPLES = 400
_MAX_NEW_TOKENS = 12

_JUDGED = {
    "digits-vqa": (VQA, VQA_SCORE),
    "digits-count": (COUNTING, EXACT_MATCH),
    "digits-mc": (CHOICE, MULTIPLE_CHOICE),
    "digits-read": (SCENE_TEXT, ANLS),
    "digits-caption": (CAPTIONING, CAPTION_MATCH),
}
DEMO_TASKS = tuple(_JUDGED)


def demo_dataset(task: str, count: int = SAMPLES) -> Dataset:
    """`count` held-out samples of one of `DEMO_TASKS`; needs scikit-learn and Pillow."""
    from profiles.demo.tasks import make_samples  # scikit-learn is not needed for other data sets

    kind, metric = _JUDGED[task]
    settings = Settings(task=kind, metric=metric, cleanup=MOLMO, prompt="{question}", max_new_tokens=_MAX_NEW_TOKENS)
    samples = tuple(
        Sample(
            id=str(number),
            question=one.question,
            image=_bitmap(one.image),
            answers=one.answers,
            options=one.options,
            answer_index=one.answer_index,
            references=one.references,
        )
        for number, one in enumerate(make_samples(task, SPLIT, count, seed=SEED))
    )
    return Dataset(name=task, samples=samples, settings=settings)


def _bitmap(pixels: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="BMP")
    return buffer.getvalue()
