"""Beam searches over the blocks of a model, on each data set for itself or on all together.

A search of each data set asks each for its own best sets, as the pruning study did; one beam for all removes the same
sets on all of them, so that their drops can be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from profiles.evidence.measuring.exam import Exam, Progress
from profiles.evidence.measuring.open_exams import split_folder
from profiles.evidence.running.cut import WHOLE, Cut
from profiles.evidence.searching.beam_search import Beam, Removed, Step, beam_search, expected_runs
from profiles.evidence.searching.search_files import (
    RESULTS,
    Subject,
    read_configuration,
    results_document,
    write_configuration,
)
from runtime.documents.atomic_file import write_atomically
from runtime.documents.checked_json import dump_document


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a search measured on one data set."""

    dataset: str
    split: str
    metric: str
    baseline: float
    steps: tuple[Step, ...]

    @property
    def best(self) -> tuple[Step, ...]:
        """The configuration that loses least of each step; equal ones go to the smaller block numbers."""
        counts = sorted({step.step for step in self.steps})
        return tuple(
            min((one for one in self.steps if one.step == count), key=lambda one: (-one.accuracy, one.removed))
            for count in counts
        )


class _Measured:
    """The accuracies of one exam, from the files in its folder where they are there."""

    def __init__(self, exam: Exam, out: Path, blocks: int, progress: Progress) -> None:
        self._exam, self._blocks, self._progress = exam, blocks, progress
        self._folder = split_folder(out, exam.name, exam.split)

    def baseline(self) -> float:
        """The accuracy of the whole model."""
        return self._exam.measure([WHOLE], self._progress)[WHOLE]

    def accuracies(self, wanted: Sequence[Removed]) -> list[float]:
        """Those of a step: what no file has is measured in one pass, and gets its file."""
        known = {removed: read_configuration(self._folder, removed, self._blocks) for removed in wanted}
        cuts = {removed: Cut(removed=removed) for removed, accuracy in known.items() if accuracy is None}
        scores = self._exam.measure(list(cuts.values()), self._progress) if cuts else {}
        for removed, cut in cuts.items():
            write_configuration(self._folder, removed, self._blocks, scores[cut])
        if cuts:
            self._exam.forget()
        return [scores[cuts[removed]] if known[removed] is None else float(known[removed] or 0.0) for removed in wanted]

    def write(self, beam: Beam, baseline: float, steps: Sequence[Step]) -> Found:
        """Write the results, and return them."""
        exam = self._exam
        subject = Subject(dataset=exam.name, split=exam.split, samples=exam.count, metric=exam.metric)
        document = results_document(subject, beam, baseline, steps)
        write_atomically(self._folder / RESULTS, dump_document(document))
        return Found(dataset=exam.name, split=exam.split, metric=exam.metric, baseline=baseline, steps=tuple(steps))


def search_each(exams: Sequence[Exam], beam: Beam, out: Path, progress: Progress) -> tuple[Found, ...]:
    """A beam for each exam. Files that are there already are taken as they are, so that a run that was killed carries
    on."""
    found = []
    for exam in exams:
        measured = _Measured(exam, out, beam.blocks, progress)
        baseline = measured.baseline()
        found.append(measured.write(beam, baseline, beam_search(measured.accuracies, beam)))
    return tuple(found)


def search_together(exams: Sequence[Exam], beam: Beam, out: Path, progress: Progress) -> tuple[Found, ...]:
    """One beam for all exams, by the mean of their accuracies; carries on as `search_each`."""
    measured = [_Measured(exam, out, beam.blocks, progress) for exam in exams]
    baselines = [one.baseline() for one in measured]
    known: list[dict[Removed, float]] = [{} for _ in exams]

    def mean_accuracies(wanted: Sequence[Removed]) -> list[float]:
        for one, accuracies in zip(measured, known, strict=True):
            accuracies.update(zip(wanted, one.accuracies(wanted), strict=True))
        return [fmean(accuracies[removed] for accuracies in known) for removed in wanted]

    steps = beam_search(mean_accuracies, beam)
    return tuple(
        one.write(
            beam,
            baseline,
            [Step(step=step.step, removed=step.removed, accuracy=accuracies[step.removed]) for step in steps],
        )
        for one, baseline, accuracies in zip(measured, baselines, known, strict=True)
    )


def expected_seconds(exams: Sequence[Exam], beam: Beam) -> float | None:
    """How long all searches would take anew, by the pace on a first batch of each exam; None where that is known
    already."""
    runs = expected_runs(beam)
    found = [(exam.pace(), exam.batches) for exam in exams]
    known = [pace * batches * runs for pace, batches in found if pace is not None]
    return sum(known) / len(known) * len(found) if known else None
