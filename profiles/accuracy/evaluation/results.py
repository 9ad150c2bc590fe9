"""The file of answers and scores of one variant on one data set: settings in the first line, then a line a sample, in
their order.

A file of JSON lines, in trimoe's own format: AnswerSettings, then a ResultRow a line.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from profiles.accuracy.evaluation.journal import ANSWERS, AnswerSettings
from profiles.accuracy.statistics import Values
from profiles.errors import MeasurementError
from profiles.journal import check_settings, dump_header, dump_line
from runtime.documents.atomic_file import write_atomically
from runtime.documents.baseline import ResultRow, ResultsRecord, ScoreRecord
from runtime.documents.checked_json import parse_document
from runtime.documents.schema import convert, fields_of
from runtime.errors import DocumentError


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """Sample ids, the generated text of each, and its score; `images` names the image of a sample that shares it with
    others, None for all else."""

    ids: tuple[str, ...]
    answers: tuple[str, ...]
    scores: tuple[float, ...]
    images: tuple[str | None, ...]

    @property
    def values(self) -> Values:
        """The scores as an array."""
        return np.array(self.scores, dtype=np.float64)


def write_results(path: Path, settings: AnswerSettings, results: Results) -> None:
    """Write the file, whole or not at all. Raises OSError."""
    lines = [dump_header(settings)]
    lines += [
        dump_line(fields_of(ResultRow(id=id, answer=answer, score=score, image=image)))
        for id, answer, score, image in zip(results.ids, results.answers, results.scores, results.images, strict=True)
    ]
    write_atomically(path, b"".join(lines))


def read_results(path: Path, settings: AnswerSettings | None = None) -> Results:
    """Read the file. Raises MeasurementError when it is damaged or, where `settings` are given, has others."""
    try:
        header, *lines = path.read_bytes().splitlines()
        if settings is not None:
            check_settings(path, header, settings, ANSWERS)
        rows = [
            convert(parse_document(line, file=f"line {number}"), ResultRow)
            for number, line in enumerate(lines, start=2)
        ]
        return Results(
            ids=tuple(row.id for row in rows),
            answers=tuple(row.answer for row in rows),
            scores=tuple(row.score for row in rows),
            images=tuple(row.image for row in rows),
        )
    except OSError as error:
        raise MeasurementError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (DocumentError, ValueError) as error:
        raise MeasurementError(f"{path}: not a file of results: {error}") from error


def record_of(path: Path, base: Path) -> ResultsRecord:
    """Name, size and digest of the file, its path relative to the folder `base`."""
    data = path.read_bytes()
    return ResultsRecord(
        path=path.relative_to(base).as_posix(), size=len(data), sha256=hashlib.sha256(data).hexdigest()
    )


def recorded_results(score: ScoreRecord, base: Path) -> Results:
    """The results that a score of the baseline in folder `base` was computed from. Raises MeasurementError unless they
    are the very file."""
    path = base / score.results.path
    if not path.is_file():
        raise MeasurementError(
            f"{path}: missing; a paired comparison needs the results of each sample, not only the baseline's scores"
        )
    if record_of(path, base) != score.results:
        raise MeasurementError(f"{path}: not the file that the baseline records (sha256 {score.results.sha256[:12]}…)")
    return read_results(path)
