"""ScienceQA as its repository ships it: problems, splits, one image folder a problem; only problems with an image are
taken.

Lu et al., Learn to Explain: Multimodal Reasoning via Thought Chains for Science Question Answering, 2022; files of
https://github.com/lupantech/ScienceQA, data/scienceqa.
"""

from pathlib import Path

from profiles.datasets.publishers.files import first_present, read_source, strings
from profiles.sample import Sample
from runtime.documents.schema import relative_path

_NAMES = {"train": "train", "validation": "val", "test": "test"}


def science_qa_files(split: str) -> tuple[tuple[str, ...], ...]:
    """The files of a split."""
    return (("problems.json",), ("pid_splits.json",), (f"images/{_NAMES[split]}", _NAMES[split]))


def load_science_qa(folder: Path, split: str) -> tuple[Sample, ...]:
    """Questions with their options; a hint stands on lines before its question."""
    name = _NAMES[split]
    images = first_present(folder, science_qa_files(split)[-1])
    problems = read_source(folder / "problems.json")
    samples = []
    for number in strings(read_source(folder / "pid_splits.json").require(name)):
        entry = problems.require(number)
        image = entry.require("image")
        if image.value is None:
            continue
        hint, question = entry.require("hint").string(), entry.require("question").string()
        options = strings(entry.require("choices"))
        samples.append(
            Sample(
                id=number,
                question=f"{hint}\n{question}" if hint else question,
                image=images / number / relative_path(image),
                options=options,
                answer_index=entry.require("answer").integer(minimum=0, maximum=len(options) - 1),
            )
        )
    return tuple(samples)
