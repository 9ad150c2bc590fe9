"""Measuring variants on data sets: answers in fixed batches, kept as they come, then scores with intervals in a
baseline."""

import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from profiles.accuracy.answerer import Answerer, AnswererOpener, SampleQuestion
from profiles.accuracy.asking import PLAIN, Asking
from profiles.accuracy.evaluation.asked import write_asked
from profiles.accuracy.evaluation.batches import make_batches, with_following
from profiles.accuracy.evaluation.journal import AnswerSettings, Journal
from profiles.accuracy.evaluation.results import Results, read_results, record_of, write_results
from profiles.accuracy.statistics import bootstrap_interval
from profiles.datasets.dataset import Dataset, scored_sample
from profiles.errors import MeasurementError
from profiles.metrics.catalogue import check_samples, find_metric
from profiles.metrics.normalisation.cleanup import find_cleanup
from profiles.sample import digest_samples, shared_images
from runtime.documents.atomic_file import write_atomically
from runtime.documents.baseline import (
    Baseline,
    DatasetRecord,
    DecodingRecord,
    DefinitionRecord,
    FamilyRecord,
    IntervalRecord,
    ScoreRecord,
    dump_baseline,
    read_baseline,
)
from runtime.documents.family_digest import family_digest
from runtime.documents.manifest import Manifest
from runtime.engines.machine import processors
from runtime.errors import DocumentError

LEVEL = 0.95
RESAMPLES = 10_000
SEED = 0
GREEDY = "greedy"
RESULTS = ".results"


class EvalProgress(Protocol):
    """Told about one variant and data set after the other."""

    def begin(self, name: str, total: int, kept: int) -> None:
        """A part of `total` samples begins, `kept` of which are answered already."""

    def advance(self, count: int) -> None:
        """`count` more samples are answered."""

    def end(self) -> None:
        """The part is over."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvalRequest:
    """What to measure: variants by id, engines by name with how to open them, data sets, samples a batch."""

    family: FamilyRecord
    variants: tuple[str, ...]
    engines: tuple[tuple[str, AnswererOpener], ...]
    datasets: tuple[Dataset, ...]
    batch_size: int
    asking: Asking = PLAIN


@dataclass(frozen=True, kw_only=True, slots=True)
class _Measured:
    """A data set ready to be answered: its record, prompts, and batches."""

    dataset: Dataset
    record: DatasetRecord
    definition: DefinitionRecord
    decoding: DecodingRecord
    questions: tuple[SampleQuestion, ...]
    batches: tuple[tuple[int, ...], ...]
    asking: Asking


@dataclass(frozen=True, kw_only=True, slots=True)
class _Subject:
    """A variant of a family that answers, by the engine `name`."""

    family: FamilyRecord
    variant: str
    name: str
    answerer: Answerer

    def settings(self, measured: _Measured) -> AnswerSettings:
        """All that the answers to a data set may depend on."""
        return AnswerSettings(
            family=self.family,
            variant=self.variant,
            engine=self.name,
            dtype=self.answerer.dtype,
            dataset=measured.record,
            definition=measured.definition,
            decoding=measured.decoding,
            software=dict(sorted(self.answerer.software.items())),
        )


def family_record(manifest: Manifest) -> FamilyRecord:
    """The family, named by the digest of what it is."""
    digest = family_digest(manifest.files, manifest.variants)
    return FamilyRecord(name=manifest.source.name, digest=digest, source_digest=manifest.source.digest)


def evaluate(request: EvalRequest, out: Path, progress: EvalProgress) -> Baseline:
    """Measure every variant with every engine on every data set and write the baseline to `out`.

    Answers and scores of each sample go to files in `out` without its suffix + `.results`; killed at any moment and run
    again, the rest is answered and the same files come out. Raises DatasetError, MissingToolError, MeasurementError
    (also for an `out` whose content would be lost), and what engines raise.
    """
    _check_out(out, request)
    measured = [_prepare(dataset, request) for dataset in request.datasets]
    software = {"python": platform.python_version(), "processor": ", ".join(processors())}
    for one in measured:
        write_asked(out.with_suffix(RESULTS), one.dataset.name, one.questions)
    scores = []
    for name, opener in request.engines:
        for variant in request.variants:
            answerer = opener(variant)
            try:
                software |= answerer.software
                subject = _Subject(family=request.family, variant=variant, name=name, answerer=answerer)
                scores += [_measure(subject, one, out.with_suffix(RESULTS), progress) for one in measured]
            finally:
                answerer.close()
    baseline = Baseline(
        trimoe=importlib.metadata.version("trimoe"),
        family=request.family,
        software=dict(sorted(software.items())),
        scores=tuple(scores),
    )
    write_atomically(out, dump_baseline(baseline))
    return baseline


def _check_out(out: Path, request: EvalRequest) -> None:
    """Refuse to write over what is no baseline, or over scores that this run does not measure again. Raises
    MeasurementError."""
    if out.suffix == RESULTS or out.is_dir():
        raise MeasurementError(
            f"{out}: not a name for a baseline, which is a file and has its answers beside it in a folder *{RESULTS}"
        )
    if not out.exists():
        return
    try:
        there = read_baseline(out).scores
    except DocumentError as error:
        raise MeasurementError(
            f"{out}: is no baseline and would be overwritten; give another --out ({error})"
        ) from error
    engines, datasets = [name for name, _ in request.engines], [dataset.name for dataset in request.datasets]
    lost = [
        s
        for s in there
        if s.variant not in request.variants or s.engine not in engines or s.dataset.name not in datasets
    ]
    if lost:
        first = f"{lost[0].variant} with {lost[0].engine} on {lost[0].dataset.name}"
        raise MeasurementError(
            f"{out}: holds {len(lost)} scores that this run does not measure again, first {first}; give another --out"
        )


def _prepare(dataset: Dataset, request: EvalRequest) -> _Measured:
    settings, asking = dataset.settings, request.asking
    metric = find_metric(settings.metric)
    find_cleanup(settings.cleanup)
    check_samples(metric, dataset.samples)
    questions = tuple(
        SampleQuestion(prompt=asking.prompt(settings.prompt, sample), sample=sample) for sample in dataset.samples
    )
    return _Measured(
        dataset=dataset,
        record=DatasetRecord(
            name=dataset.name,
            task=settings.task,
            samples=len(dataset.samples),
            digest=digest_samples(dataset.samples),
            skipped=dataset.skipped,
        ),
        definition=DefinitionRecord(metric=metric.id, meaning=metric.definition, cleanup=settings.cleanup),
        decoding=DecodingRecord(
            prompt=settings.prompt,
            strategy=GREEDY,
            max_new_tokens=settings.max_new_tokens,
            batch_size=min(request.batch_size, len(questions)),
            chat=asking.chat_text is not None,
            system=asking.system,
            stop=asking.stop,
        ),
        questions=questions,
        batches=make_batches(questions, request.batch_size),
        asking=asking,
    )


def _measure(subject: _Subject, measured: _Measured, folder: Path, progress: EvalProgress) -> ScoreRecord:
    """The score of one variant on one data set, from the file of results in `folder`, which is made where it is not
    there."""
    settings = subject.settings(measured)
    path = folder / f"{subject.variant}.{subject.name}.{subject.answerer.dtype}.{measured.record.name}.jsonl"
    title = f"{subject.variant} {subject.name} {measured.record.name}"
    if path.is_file():
        _journal_of(path).unlink(missing_ok=True)  # of a run that was killed between the two
        count = len(read_results(path, settings).ids)
        progress.begin(title, count, count)
        progress.end()
    else:
        _answer(subject.answerer, measured, settings, path, title, progress)
    results = read_results(path, settings)
    values = results.values
    highest = find_metric(measured.definition.metric).highest
    low, high = bootstrap_interval(
        values, level=LEVEL, resamples=RESAMPLES, seed=SEED, highest=highest, images=results.images
    )
    return ScoreRecord(
        variant=subject.variant,
        engine=subject.name,
        dtype=subject.answerer.dtype,
        dataset=measured.record,
        definition=measured.definition,
        decoding=measured.decoding,
        score=float(values.mean()),
        interval=IntervalRecord(level=LEVEL, low=low, high=high, resamples=RESAMPLES, seed=SEED),
        results=record_of(path, folder.parent),
    )


def _journal_of(path: Path) -> Path:
    return path.with_suffix(".part")


def _answer(
    answerer: Answerer, measured: _Measured, settings: AnswerSettings, path: Path, title: str, progress: EvalProgress
) -> None:
    """Answer what the journal lacks, score everything, and put the file of results in the journal's place."""
    total = len(measured.questions)
    with Journal(_journal_of(path), settings) as journal:
        progress.begin(title, total, len(journal.answers))
        left = [batch for batch in measured.batches if not all(place in journal.answers for place in batch)]
        for batch, following in with_following(left):
            questions, ahead = ([measured.questions[place] for place in places] for places in (batch, following))
            texts = answerer.answer(questions, max_new_tokens=measured.decoding.max_new_tokens, following=ahead)
            journal.add(batch, [measured.asking.answer(text) for text in texts])
            progress.advance(len(batch))
        progress.end()
        answers = [journal.answers[place] for place in range(total)]
        write_results(path, settings, score_answers(measured.dataset, answers))
        journal.remove()


def score_answers(dataset: Dataset, answers: Sequence[str]) -> Results:
    """The score of every answer, cleaned, by the data set's metric. Raises MissingToolError when the metric needs what
    is not installed."""
    settings = dataset.settings
    clean = find_cleanup(settings.cleanup)
    samples = [scored_sample(settings.prompt, sample) for sample in dataset.samples]
    scores = find_metric(settings.metric).score(samples, [clean(answer) for answer in answers])
    return Results(
        ids=tuple(sample.id for sample in samples),
        answers=tuple(answers),
        scores=scores,
        images=shared_images(dataset.samples),
    )
