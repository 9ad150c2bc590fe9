"""The journal of an evaluation that is under way: one line a batch of answers, durable before the next batch begins.

A file of JSON lines, in trimoe's own format, like the file of results that takes its place: first the AnswerSettings,
then here a Batch a line.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import Struct

from profiles import journal
from profiles.journal import JournalKind
from runtime.documents.baseline import DatasetRecord, DecodingRecord, DefinitionRecord, FamilyRecord
from runtime.documents.schema import Natural


class AnswerSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that the answers of one variant to one data set may depend on: the first line of their file."""

    family: FamilyRecord
    variant: str
    engine: str
    dtype: str
    dataset: DatasetRecord
    definition: DefinitionRecord
    decoding: DecodingRecord
    software: Mapping[str, str]


class Batch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answers of a batch, and the places of their samples in the data set; ValueError unless as many."""

    places: tuple[Natural, ...]
    answers: tuple[str, ...]

    def __post_init__(self) -> None:
        """Count both."""
        if len(self.places) != len(self.answers):
            raise ValueError(f"{len(self.answers)} answers for {len(self.places)} samples")


ANSWERS = JournalKind(work="evaluation", holds="answers", row=Batch)


class Journal:
    """Answers by the place of their sample, kept in a file whose first line names the settings they were made with.

    A last line that was cut off is dropped, its batch is answered again. Raises MeasurementError for a journal of other
    settings, a damaged one, and one that another process writes.
    """

    def __init__(self, path: Path, settings: AnswerSettings) -> None:
        """Open or begin the journal at `path`."""
        self._journal = journal.Journal(path, settings, ANSWERS)
        self.answers: dict[int, str] = {}

    def __enter__(self) -> Self:
        for batch in self._journal.__enter__().rows:
            self._keep(batch)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._journal.__exit__(kind, error, trace)

    def add(self, places: Sequence[int], answers: Sequence[str]) -> None:
        """Record the answers of a batch; they are on disk when this returns. Raises OSError."""
        batch = Batch(places=tuple(places), answers=tuple(answers))
        self._journal.add(batch)
        self._keep(batch)

    def remove(self) -> None:
        """Delete the file, the journal still being open."""
        self._journal.remove()

    def _keep(self, batch: Batch) -> None:
        self.answers.update(zip(batch.places, batch.answers, strict=True))
