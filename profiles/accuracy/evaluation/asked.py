"""What was asked of a data set's samples and what is right, beside the files of answers: one file a data set, a line a
sample, for reports and for readers."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from profiles.accuracy.answerer import SampleQuestion
from profiles.errors import MeasurementError
from profiles.journal import dump_line
from profiles.sample import Sample
from runtime.documents.atomic_file import write_atomically
from runtime.documents.checked_json import parse_document
from runtime.documents.schema import convert, fields_of
from runtime.errors import DocumentError


class AskedRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sample: its prompt as the model read it, the question in it, and what is right: short answers, the option, or
    captions."""

    id: str
    question: str
    prompt: str
    right: tuple[str, ...]


def asked_path(folder: Path, dataset: str) -> Path:
    """Where the file of a data set lies in a baseline's folder of answers."""
    return folder / f"{dataset}.asked.jsonl"


def write_asked(folder: Path, dataset: str, questions: Sequence[SampleQuestion]) -> None:
    """Write the file, whole or not at all, unless it is there with the same content. Raises OSError."""
    rows = (
        AskedRow(id=one.sample.id, question=one.sample.question, prompt=one.prompt, right=_right(one.sample))
        for one in questions
    )
    path, data = asked_path(folder, dataset), b"".join(dump_line(fields_of(row)) for row in rows)
    folder.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_bytes() != data:
        write_atomically(path, data)


def read_asked(folder: Path, dataset: str) -> Mapping[str, AskedRow]:
    """The rows by id; none where the file is not there. Raises MeasurementError when it is damaged."""
    path = asked_path(folder, dataset)
    if not path.is_file():
        return {}
    try:
        lines = enumerate(path.read_bytes().splitlines(), start=1)
        rows = [convert(parse_document(line, file=f"line {number}"), AskedRow) for number, line in lines]
    except (OSError, DocumentError) as error:
        raise MeasurementError(f"{path}: cannot be read: {error}") from error
    return {row.id: row for row in rows}


def _right(sample: Sample) -> tuple[str, ...]:
    if sample.answer_index is not None and sample.options:
        return (sample.options[sample.answer_index],)
    return tuple(dict.fromkeys(sample.answers or sample.references))
