"""TextVQA 0.5.1 as textvqa.org ships it.

Singh et al., Towards VQA Models That Can Read, 2019; files of https://textvqa.org/dataset.
"""

from pathlib import Path

from profiles.datasets.publishers.files import first_present, identifier, read_source, strings
from profiles.sample import Sample

_NAMES = {"train": "train", "validation": "val"}


def text_vqa_files(split: str) -> tuple[tuple[str, ...], ...]:
    """The files of a split; training and validation images share a folder."""
    return (
        (f"TextVQA_0.5.1_{_NAMES[split]}.json",),
        ("train_images", "train_val_images/train_images", "train_val_images"),
    )


def load_text_vqa(folder: Path, split: str) -> tuple[Sample, ...]:
    """Questions with ten answers each."""
    (name,), images = text_vqa_files(split)
    place = first_present(folder, images)
    return tuple(
        Sample(
            id=identifier(entry.require("question_id")),
            question=entry.require("question").string(),
            image=place / f"{entry.require('image_id').string()}.jpg",
            answers=strings(entry.require("answers")),
        )
        for entry in read_source(folder / name).require("data").elements()
    )
