"""The lengths of the answers that a baseline was computed from, so that the first requests' are not unknown."""

import hashlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from runtime.documents.baseline import Baseline, ResultRow, ScoreRecord
from runtime.documents.checked_json import parse_document
from runtime.documents.schema import convert
from runtime.errors import DocumentError
from runtime.serving.forecasting.lengths import Seen

MOST = 200  # answers of a data set


def recorded_lengths(path: Path, baseline: Baseline, token_count: Callable[[str], int]) -> tuple[Seen, ...]:
    """Tasks, by both their names (runtime/serving/forecasting/accuracies.py), with an answer each, of the first variant
    measured on each data set of the baseline in the file `path`; nothing where the files of answers are not beside it.
    `token_count` says how many tokens a text has, without one that ends it: a text that fills its room was cut.

    Raises DocumentError for a file of answers that is not the one that the baseline records.
    """
    firsts: dict[str, ScoreRecord] = {}
    for score in baseline.scores:
        firsts.setdefault(score.dataset.name, score)
    return tuple(
        (task, min(count + 1, score.decoding.max_new_tokens), count >= score.decoding.max_new_tokens)
        for score in firsts.values()
        for count in map(token_count, _answers(path.parent / score.results.path, score))
        for task in dict.fromkeys((score.dataset.task, score.dataset.name))
    )


def _answers(path: Path, score: ScoreRecord) -> Iterator[str]:
    if not path.is_file():
        return
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != score.results.sha256:
        raise DocumentError(f"{path}: not the answers that the baseline records (sha256 {score.results.sha256[:12]}…)")
    for number, line in islice(enumerate(data.splitlines(), start=1), 1, MOST + 1):
        yield convert(parse_document(line, file=f"{path}: line {number}"), ResultRow).answer
