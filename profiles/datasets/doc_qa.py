"""DocVQA, task 1, as its challenge ships it."""

from pathlib import Path

from profiles.datasets.sample import Sample
from profiles.datasets.sources import identifier, read_source, strings
from runtime.manifest import relative_path

_NAMES = {"train": "train", "validation": "val"}


def doc_qa_files(split: str) -> tuple[str, ...]:
    """The files of a split."""
    return (f"{_NAMES[split]}_v1.0_withQT.json", "documents")


def load_doc_qa(folder: Path, split: str) -> tuple[Sample, ...]:
    """Questions about scanned pages with their accepted answers."""
    return tuple(
        Sample(
            id=identifier(entry.require("questionId")),
            question=entry.require("question").string(),
            image=folder / relative_path(entry.require("image")),
            answers=strings(entry.require("answers")),
        )
        for entry in read_source(folder / doc_qa_files(split)[0]).require("data").elements()
    )
