"""A list of samples with the settings they are measured by."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from profiles.errors import DatasetError
from profiles.sample import Sample, listed_options, option_letters

QUESTION, OPTIONS = "{question}", "{options}"
_FIELD = re.compile(r"\{(\w*)\}")

VQA = "vqa"
COUNTING = "counting"
CHOICE = "multiple choice"
SCENE_TEXT = "scene text"
DOCUMENT = "document"
CAPTIONING = "captioning"
TASKS = (VQA, COUNTING, CHOICE, SCENE_TEXT, DOCUMENT, CAPTIONING)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How answers are asked for and scored.

    `prompt` is a template with the fields `{question}` and `{options}`; the latter lists the options as lines `A: …`,
    and then their letters are what an answer is compared with. Raises DatasetError for other fields.
    """

    task: str
    metric: str
    cleanup: str
    prompt: str
    max_new_tokens: int

    def __post_init__(self) -> None:
        for match in _FIELD.finditer(self.prompt):
            if match.group() not in (QUESTION, OPTIONS):
                raise DatasetError(
                    f"the prompt template {self.prompt!r} has the field {match.group()}; the fields are {QUESTION} "
                    f"and {OPTIONS}"
                )


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """Samples in order, under a name; `skipped` are the ids of those that could not be asked and were left out."""

    name: str
    samples: tuple[Sample, ...]
    settings: Settings
    skipped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.samples:
            raise DatasetError(f"{self.name}: no samples")
        ids = [sample.id for sample in self.samples]
        if len(set(ids)) != len(ids):
            twice = next(one for one in ids if ids.count(one) > 1)
            raise DatasetError(f"{self.name}: two samples have the id {twice!r}")

    def limited(self, count: int | None) -> "Dataset":
        """At most `count` samples, evenly spaced over all of them; None keeps all."""
        if count is None or count >= len(self.samples):
            return self
        return replace(self, samples=tuple(self.samples[place * len(self.samples) // count] for place in range(count)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """A public data set as its publisher ships it.

    `files` are needed, relative to the folder, for a split, each under one of several names; `load` reads them.
    `download` says where to get them and how to lay them out.
    """

    name: str
    settings: Settings
    splits: tuple[str, ...]
    files: Callable[[str], tuple[tuple[str, ...], ...]]
    load: Callable[[Path, str], tuple[Sample, ...]]
    download: str


def fill_prompt(template: str, sample: Sample) -> str:
    """The question of a sample in a template; text that comes from the sample is not looked at again.

    Raises DatasetError when the template lists more options than there are letters.
    """
    fields = {QUESTION: sample.question, OPTIONS: listed_options(sample) if OPTIONS in template else ""}
    return _FIELD.sub(lambda match: fields[match.group()], template)


def scored_sample(template: str, sample: Sample) -> Sample:
    """The sample as answers are compared with it: options that the prompt lists are named by their letters. Raises as
    `fill_prompt`."""
    if OPTIONS not in template or not sample.options:
        return sample
    return replace(sample, options=option_letters(sample))
