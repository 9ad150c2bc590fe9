"""TallyQA as its repository ships it: counting questions about COCO and Visual Genome images.

Acharya et al., TallyQA: Answering Complex Counting Questions, 2019; files of
https://github.com/manoja328/TallyQA_dataset.
"""

from collections import Counter
from pathlib import Path

from profiles.datasets.publishers.files import identifier, read_source
from profiles.sample import Sample
from runtime.documents.schema import relative_path


def tally_qa_files(split: str) -> tuple[tuple[str, ...], ...]:
    """The files of a split."""
    return ((f"{split}.json",),)


def load_tally_qa(folder: Path, split: str) -> tuple[Sample, ...]:
    """Questions with one count each, as digits; images lie below the folder as the file names them (`VG_100K_2/1.jpg`).

    Question ids come from three sources, each of which numbers its own: where an id comes again, `#2` and so on tell
    the samples apart.
    """
    seen: Counter[str] = Counter()
    samples = []
    for entry in read_source(folder / f"{split}.json").elements():
        number = identifier(entry.require("question_id"))
        seen[number] += 1
        samples.append(
            Sample(
                id=number if seen[number] == 1 else f"{number}#{seen[number]}",
                question=entry.require("question").string(),
                image=folder / relative_path(entry.require("image")),
                answers=(str(entry.require("answer").integer(minimum=0)),),
            )
        )
    return tuple(samples)
