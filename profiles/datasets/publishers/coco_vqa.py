"""Data sets in the layout of visualqa.org: a file of questions, a file of annotations, COCO images. Used by
coco-2014-vqa and okvqa.

Goyal et al., Making the V in VQA Matter, 2017, in the format of https://visualqa.org/download.html; Marino et al.,
OK-VQA, 2019.
"""

from collections.abc import Callable
from pathlib import Path

from profiles.datasets.publishers.files import read_source
from profiles.sample import Sample

SUBSETS = {"train": "train2014", "validation": "val2014"}


def coco_image(folder: Path, subset: str, image_id: int) -> Path:
    """Where an image of COCO 2014 lies, `subset` being train2014 or val2014."""
    return folder / subset / f"COCO_{subset}_{image_id:012d}.jpg"


def vqa_files(prefix: str) -> Callable[[str], tuple[tuple[str, ...], ...]]:
    """The files of a split; `prefix` stands before their names (`v2_` for VQA-v2)."""

    def files(split: str) -> tuple[tuple[str, ...], ...]:
        subset = SUBSETS[split]
        return (
            (f"{prefix}OpenEnded_mscoco_{subset}_questions.json",),
            (f"{prefix}mscoco_{subset}_annotations.json",),
            (subset,),
        )

    return files


def vqa_loader(prefix: str, answer: str) -> Callable[[Path, str], tuple[Sample, ...]]:
    """A loader of questions with ten answers each; `answer` is the key of an answer's text."""

    def load(folder: Path, split: str) -> tuple[Sample, ...]:
        (questions,), (annotations,), (subset,) = vqa_files(prefix)(split)
        answers = {
            entry.require("question_id").integer(): tuple(
                one.require(answer).string() for one in entry.require("answers").elements()
            )
            for entry in read_source(folder / annotations).require("annotations").elements()
        }
        samples = []
        for entry in read_source(folder / questions).require("questions").elements():
            number = entry.require("question_id").integer()
            if number not in answers:
                entry.require("question_id").fail(f"question {number} has no annotation in {annotations}")
            image = coco_image(folder, subset, entry.require("image_id").integer(minimum=0))
            samples.append(
                Sample(
                    id=str(number), question=entry.require("question").string(), image=image, answers=answers[number]
                )
            )
        return tuple(samples)

    return load
