"""The demo model's tasks as data sets: held-out images, which neither training nor evidence has seen, and the
calibration images, which evidence is measured on."""

import io
from typing import TYPE_CHECKING

from profiles.datasets.dataset import CAPTIONING, CHOICE, COUNTING, SCENE_TEXT, VQA, Dataset, Settings
from profiles.errors import MissingToolError
from profiles.metrics.anls import ANLS
from profiles.metrics.caption import CAPTION_MATCH
from profiles.metrics.choice import MULTIPLE_CHOICE
from profiles.metrics.exact import EXACT_MATCH
from profiles.metrics.normalisation.cleanup import MOLMO
from profiles.metrics.vqa import VQA_SCORE
from profiles.sample import Sample

if TYPE_CHECKING:
    from PIL.Image import Image

SPLIT = "test"
SEED = 2024
SAMPLES = 400
_MAX_NEW_TOKENS = 12

_SCORED = {
    "digits-vqa": (VQA, VQA_SCORE),
    "digits-count": (COUNTING, EXACT_MATCH),
    "digits-mc": (CHOICE, MULTIPLE_CHOICE),
    "digits-read": (SCENE_TEXT, ANLS),
    "digits-caption": (CAPTIONING, CAPTION_MATCH),
}
DEMO_TASKS = tuple(_SCORED)
DEMO_TYPES = {name: kind for name, (kind, _) in _SCORED.items()}
"""The type of each task."""

CALIBRATION = {"train": "calibration-a", "validation": "calibration-b"}
"""A pruning study compares two splits: here they are two halves of the calibration images, neither of which made
gradients."""

CALIBRATION_SEED = 11
CALIBRATION_SAMPLES = 150
LONGEST_ANSWERS = {"digits-vqa": 4, "digits-count": 3, "digits-mc": 3, "digits-read": 6, "digits-caption": 11}
"""Tokens generated at most for each task on calibration images, the end token included: one or two more than the
longest right answer has."""


def demo_dataset(task: str, count: int = SAMPLES) -> Dataset:
    """`count` held-out samples of one of `DEMO_TASKS`. Raises MissingToolError without scikit-learn or Pillow."""
    return _drawn(task, SPLIT, count, seed=SEED, longest=_MAX_NEW_TOKENS)


def calibration_dataset(task: str, split: str, count: int = CALIBRATION_SAMPLES) -> Dataset:
    """`count` samples of one of `DEMO_TASKS` on a split of `CALIBRATION`. Raises as `demo_dataset`."""
    return _drawn(task, CALIBRATION[split], count, seed=CALIBRATION_SEED, longest=LONGEST_ANSWERS[task])


def _drawn(task: str, images: str, count: int, *, seed: int, longest: int) -> Dataset:
    try:
        from PIL import Image

        from profiles.datasets.digits.tasks import make_samples  # scikit-learn is not needed for other data sets
    except ImportError as error:
        raise MissingToolError(
            f"{task} is made with scikit-learn and Pillow, and the package {error.name} is missing: "
            "pip install scikit-learn pillow, or trimoe with its extra [profiles]"
        ) from error
    kind, metric = _SCORED[task]
    settings = Settings(task=kind, metric=metric, cleanup=MOLMO, prompt="{question}", max_new_tokens=longest)
    samples = tuple(
        Sample(
            id=one.id,
            question=one.question,
            image=_bitmap(Image.fromarray(one.pixels)),
            answers=one.answers,
            options=one.options,
            answer_index=one.answer_index,
            references=one.references,
        )
        for one in make_samples(task, images, count, seed=seed)
    )
    return Dataset(name=task, samples=samples, settings=settings)


def _bitmap(image: "Image") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="BMP")
    return buffer.getvalue()
