"""ST-VQA, task 3, as its challenge ships it; a validation part is drawn from the training questions as Molmo's
evaluation draws it.

Biten et al., Scene Text Visual Question Answering, 2019; files of https://rrc.cvc.uab.es/?ch=11; the draw is that of
allenai/molmo, olmo/data/academic_datasets.py.
"""

from pathlib import Path

import numpy as np

from profiles.datasets.publishers.files import identifier, read_source, strings
from profiles.sample import Sample
from runtime.documents.schema import relative_path

_SEED = 63069
_VALIDATION = 1024
_IMAGES = (".", "train", "train_imgs", "train_imgs/train")


def scene_text_files(split: str) -> tuple[tuple[str, ...], ...]:
    """Both splits come from the training file: the test file has no answers."""
    return (("train_task_3.json",),)


def load_scene_text(folder: Path, split: str) -> tuple[Sample, ...]:
    """Questions with their answers: validation is the first 1,024 after sorting by question id and shuffling with a
    fixed seed."""
    entries = list(read_source(folder / "train_task_3.json").require("data").elements())
    entries.sort(key=lambda entry: entry.require("question_id").value)
    np.random.RandomState(_SEED).shuffle(entries)  # type: ignore[arg-type]
    root = _image_root(folder, relative_path(entries[0].require("file_path")) if entries else "")
    chosen = entries[:_VALIDATION] if split == "validation" else entries[_VALIDATION:]
    return tuple(
        Sample(
            id=identifier(entry.require("question_id")),
            question=entry.require("question").string(),
            image=root / relative_path(entry.require("file_path")),
            answers=strings(entry.require("answers")),
        )
        for entry in chosen
    )


def _image_root(folder: Path, image: str) -> Path:
    """The folder that holds the folders of images, by one image that is in it; the one of the questions when none has
    it."""
    return next((folder / name for name in _IMAGES if (folder / name / image).is_file()), folder)
