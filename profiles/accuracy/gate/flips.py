"""The samples whose score changed, with what was asked and answered."""

from collections.abc import Iterator
from dataclasses import dataclass

from profiles.accuracy.evaluation.asked import AskedRow, read_asked
from profiles.accuracy.evaluation.evaluate import RESULTS
from profiles.accuracy.evaluation.results import recorded_results
from profiles.accuracy.gate.pairs import Stored, Subject, scores_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Flip:
    """A sample that scores otherwise than in the baseline. `asked` is None where neither side kept what was asked."""

    dataset: str
    id: str
    asked: AskedRow | None
    baseline_answer: str
    answer: str
    baseline_score: float
    score: float


def flips(stored: Stored, measured: Stored, subject: Subject, against: Subject) -> Iterator[Flip]:
    """Those of one variant, data set by data set, lost ones first. Raises MeasurementError for damaged files."""
    before, now = scores_of(stored.baseline, *against), scores_of(measured.baseline, *subject)
    for name, score in before.items():
        old, new = recorded_results(score, stored.folder), recorded_results(now[name], measured.folder)
        asked = _asked(measured, name) or _asked(stored, name)
        changed = [place for place in range(len(old.ids)) if old.scores[place] != new.scores[place]]
        for place in sorted(changed, key=lambda place: new.scores[place] - old.scores[place]):
            yield Flip(
                dataset=name,
                id=old.ids[place],
                asked=asked.get(old.ids[place]),
                baseline_answer=old.answers[place],
                answer=new.answers[place],
                baseline_score=old.scores[place],
                score=new.scores[place],
            )


def _asked(side: Stored, dataset: str) -> dict[str, AskedRow]:
    """Of the folders that the baseline's files of answers lie in."""
    folders = {side.folder / score.results.path for score in side.baseline.scores if score.dataset.name == dataset}
    for folder in sorted({path.parent for path in folders if path.parent.suffix == RESULTS}):
        if found := read_asked(folder, dataset):
            return dict(found)
    return {}
