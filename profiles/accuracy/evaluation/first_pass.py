"""Every sample is read as the model will read it before the first is answered: what cannot be asked is found in a
minute, not after hours."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from profiles.accuracy.asking import PLAIN, Asking
from profiles.datasets.dataset import Dataset
from profiles.errors import DatasetError
from profiles.sample import Sample
from runtime.documents.graph_contract import INPUT_IDS
from runtime.engines.prompts import PromptReader, Question


class PassProgress(Protocol):
    """Told about one data set after the other."""

    def begin(self, name: str, total: int, kept: int) -> None:
        """A part of `total` samples begins, `kept` of which are done."""

    def advance(self, count: int) -> None:
        """`count` more samples are done."""

    def end(self) -> None:
        """The part is over."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bad:
    """A sample that cannot be asked, and why."""

    dataset: str
    id: str
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Readable:
    """Data sets of which every sample can be asked, what was left out of them, and what a user should know."""

    datasets: tuple[Dataset, ...]
    skipped: tuple[Bad, ...]
    notes: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """What was left out and what to know, a line each."""
        return (*(f"{one.dataset}: left out {one.id!r}: {one.why}" for one in self.skipped), *self.notes)


def read_all(
    datasets: Sequence[Dataset],
    reader: PromptReader,
    progress: PassProgress,
    *,
    asking: Asking = PLAIN,
    skip_bad: bool = False,
) -> Readable:
    """Read every question, as it is asked, and every picture.

    Raises DatasetError for a picture that cannot be used or that a model of text would not see, for a prompt that
    leaves no room for its answer, for a blank question, and for answers that are all blank; with `skip_bad` such
    samples are left out, unless that leaves none of a data set.
    """
    kept, skipped = [], []
    for dataset in datasets:
        bad = list(_bad(dataset, reader, asking, progress))
        if bad and not skip_bad:
            more = f" ({len(bad)} samples cannot be asked; --skip-bad leaves them out)" if len(bad) > 1 else ""
            raise DatasetError(f"data set {dataset.name}: sample {bad[0].id!r}: {bad[0].why}{more}")
        ids = {one.id for one in bad}
        left = tuple(sample for sample in dataset.samples if sample.id not in ids)
        if not left:
            why = f"no sample can be asked; the first, {bad[0].id!r}: {bad[0].why}"
            raise DatasetError(f"data set {dataset.name}: {why}")
        kept.append(replace(dataset, samples=left, skipped=tuple(one.id for one in bad)))
        skipped += bad
    return Readable(datasets=tuple(kept), skipped=tuple(skipped), notes=tuple(_notes(kept, reader)))


def _bad(dataset: Dataset, reader: PromptReader, asking: Asking, progress: PassProgress) -> Iterator[Bad]:
    progress.begin(f"reading {dataset.name}", len(dataset.samples), 0)
    for sample in dataset.samples:
        try:
            _check_texts(sample)
            question = Question(text=asking.prompt(dataset.settings.prompt, sample), image=sample.open_image())
            (prompt,) = reader.read((question,), variant="")
            _check_length(len(prompt.arrays[INPUT_IDS]), dataset.settings.max_new_tokens, reader.context_tokens)
        except (DatasetError, ValueError) as error:
            yield Bad(dataset=dataset.name, id=sample.id, why=str(error).removeprefix(f"{sample.label}: "))
        progress.advance(1)
    progress.end()


def _check_texts(sample: Sample) -> None:
    if not sample.question.strip():
        raise DatasetError("its question is blank")
    for what, texts in (("answers", sample.answers), ("options", sample.options), ("references", sample.references)):
        if texts and not any(text.strip() for text in texts):
            raise DatasetError(f"its {what} are blank")


def _check_length(tokens: int, room: int, context: int | None) -> None:
    if context is not None and tokens + room > context:
        raise DatasetError(
            f"its prompt has {tokens} tokens and its answer up to {room}; the model's context has {context}"
        )


def _notes(datasets: Sequence[Dataset], reader: PromptReader) -> Iterator[str]:
    """A model that sees, asked without pictures, is measured on something else than it seems."""
    if reader.crop_settings is None:
        return
    for dataset in datasets:
        blind, count = sum(sample.image is None for sample in dataset.samples), len(dataset.samples)
        if blind:
            yield f"{dataset.name}: {blind} of {count} samples have no picture, and the model reads pictures"
