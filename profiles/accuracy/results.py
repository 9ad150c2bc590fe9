"""The file of answers and scores of one variant on one data set: settings in the first line, then a line a sample, in
their order."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from profiles.accuracy.journal import check_settings, dump_line
from profiles.accuracy.statistics import Values
from profiles.errors import MeasurementError
from runtime.documents.atomic_file import write_atomically
from runtime.documents.baseline import ResultsRecord, ScoreRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """Sample ids, the generated text of each, and its score."""

    ids: tuple[str, ...]
    answers: tuple[str, ...]
    scores: tuple[float, ...]

    @property
    def values(self) -> Values:
        """The scores as an array."""
        return np.array(self.scores, dtype=np.float64)


def write_results(path: Path, settings: Mapping[str, Any], results: Results) -> None:
    """Write the file, whole or not at all. Raises OSError."""
    lines = [dump_line({"settings": settings})]
    lines += [
        dump_line({"id": id, "answer": answer, "score": score})
        for id, answer, score in zip(results.ids, results.answers, results.scores, strict=True)
    ]
    write_atomically(path, b"".join(lines))


def read_results(path: Path, settings: Mapping[str, Any] | None = None) -> Results:
    """Read the file. Raises MeasurementError when it is damaged or, where `settings` are given, has others."""
    try:
        header, *lines = path.read_bytes().splitlines()
        if settings is not None:
            check_settings(path, header, settings)
        rows = [json.loads(line) for line in lines]
        return Results(
            ids=tuple(row["id"] for row in rows),
            answers=tuple(row["answer"] for row in rows),
            scores=tuple(float(row["score"]) for row in rows),
        )
    except OSError as error:
        raise MeasurementError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
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
