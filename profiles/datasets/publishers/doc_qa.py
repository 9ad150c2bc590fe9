"""DocVQA, task 1, as its challenge ships it: today in folders `spdocvqa_…`, earlier in one folder a split.

Mathew et al., DocVQA: A Dataset for VQA on Document Images, 2021; files of https://rrc.cvc.uab.es/?ch=17.
"""

from pathlib import Path, PurePosixPath

from profiles.datasets.publishers.files import first_present, identifier, read_source, strings
from profiles.sample import Sample
from runtime.documents.schema import relative_path

_NAMES = {"train": "train", "validation": "val"}
_FLAT = "spdocvqa_images"


def doc_qa_files(split: str) -> tuple[tuple[str, ...], ...]:
    """The files of a split."""
    name = _NAMES[split]
    questions = (
        f"{name}_v1.0_withQT.json",
        f"spdocvqa_qas/{name}_v1.0_withQT.json",
        f"{name}_v1.0.json",
        f"{name}/{name}_v1.0.json",
    )
    return (questions, ("documents", _FLAT, f"{name}/documents"))


def load_doc_qa(folder: Path, split: str) -> tuple[Sample, ...]:
    """Questions about scanned pages with their accepted answers."""
    questions, images = doc_qa_files(split)
    place = first_present(folder, images)
    root = place if place.name == _FLAT else place.parent
    samples = []
    for entry in read_source(first_present(folder, questions)).require("data").elements():
        image = PurePosixPath(relative_path(entry.require("image")))  # documents/NAME.png
        samples.append(
            Sample(
                id=identifier(entry.require("questionId")),
                question=entry.require("question").string(),
                image=root / (image.name if place.name == _FLAT else image),
                answers=strings(entry.require("answers")),
            )
        )
    return tuple(samples)
