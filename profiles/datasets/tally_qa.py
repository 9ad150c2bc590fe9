"""TallyQA as its repository ships it: counting questions about COCO and Visual Genome images."""

from pathlib import Path

from profiles.datasets.sample import Sample
from profiles.datasets.sources import identifier, read_source
from runtime.manifest import relative_path


def tally_qa_files(split: str) -> tuple[str, ...]:
    """The files of a split."""
    return (f"{split}.json",)


def load_tally_qa(folder: Path, split: str) -> tuple[Sample, ...]:
    """Questions with one count each, as digits; images lie below the folder as the file names them (`VG_100K_2/1.jpg`)."""
    return tuple(
        Sample(
            id=identifier(entry.require("question_id")),
            question=entry.require("question").string(),
            image=folder / relative_path(entry.require("image")),
            answers=(str(entry.require("answer").integer(minimum=0)),),
        )
        for entry in read_source(folder / f"{split}.json").elements()
    )
