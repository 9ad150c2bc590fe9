"""Measuring variants on data sets: answers in fixed batches, kept as they come, then scores with intervals in a
baseline."""

import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from profiles.accuracy.batches import make_batches, with_following
from profiles.accuracy.engine import Engine, EngineOpener, Request
from profiles.accuracy.journal import AnswerSettings, Journal
from profiles.accuracy.results import Results, read_results, record_of, write_results
from profiles.accuracy.statistics import bootstrap_interval
from profiles.datasets.dataset import Dataset, fill_prompt, scored_sample
from profiles.errors import MeasurementError
from profiles.metrics.catalogue import check_samples, find_metric
from profiles.metrics.normalisation.cleanups import find_cleanup
from profiles.sample import digest_samples
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
    engines: tuple[tuple[str, EngineOpener], ...]
    datasets: tuple[Dataset, ...]
    batch_size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Measured:
    """A data set ready to be answered: its record, prompts, and batches."""

    dataset: Dataset
    record: DatasetRecord
    definition: DefinitionRecord
    decoding: DecodingRecord
    requests: tuple[Request, ...]
    batches: tuple[tuple[int, ...], ...]


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
    measured = [_prepare(dataset, request.batch_size) for dataset in request.datasets]
    folder = out.with_suffix(RESULTS)
    software = {"python": platform.python_version()}
    scores = []
    for name, opener in request.engines:
        for variant in request.variants:
            engine = opener(variant)
            try:
                software |= engine.software
                scores += [_measure(engine, name, variant, one, request.family, folder, progress) for one in measured]
            finally:
                engine.close()
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


def _prepare(dataset: Dataset, batch_size: int) -> _Measured:
    settings = dataset.settings
    metric = find_metric(settings.metric)
    find_cleanup(settings.cleanup)
    check_samples(metric, dataset.samples)
    requests = tuple(Request(prompt=fill_prompt(settings.prompt, sample), sample=sample) for sample in dataset.samples)
    return _Measured(
        dataset=dataset,
        record=DatasetRecord(
            name=dataset.name, task=settings.task, samples=len(dataset.samples), digest=digest_samples(dataset.samples)
        ),
        definition=DefinitionRecord(metric=metric.id, meaning=metric.definition, cleanup=settings.cleanup),
        decoding=DecodingRecord(
            prompt=settings.prompt,
            strategy=GREEDY,
            max_new_tokens=settings.max_new_tokens,
            batch_size=min(batch_size, len(requests)),
        ),
        requests=requests,
        batches=make_batches(requests, batch_size),
    )


def _measure(
    engine: Engine,
    name: str,
    variant: str,
    measured: _Measured,
    family: FamilyRecord,
    folder: Path,
    progress: EvalProgress,
) -> ScoreRecord:
    settings = AnswerSettings(
        family=family,
        variant=variant,
        engine=name,
        dtype=engine.dtype,
        dataset=measured.record,
        definition=measured.definition,
        decoding=measured.decoding,
        software=dict(sorted(engine.software.items())),
    )
    path, title = (
        folder / f"{variant}.{name}.{engine.dtype}.{measured.record.name}.jsonl",
        f"{variant} {name} {measured.record.name}",
    )
    kept = path.is_file()
    if kept:
        _journal_of(path).unlink(missing_ok=True)  # of a run that was killed between the two
    else:
        _answer(engine, measured, settings, path, title, progress)
    values = read_results(path, settings).values
    if kept:
        progress.begin(title, values.size, values.size)
        progress.end()
    low, high = bootstrap_interval(
        values, level=LEVEL, resamples=RESAMPLES, seed=SEED, highest=find_metric(measured.definition.metric).highest
    )
    return ScoreRecord(
        variant=variant,
        engine=name,
        dtype=engine.dtype,
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
    engine: Engine, measured: _Measured, settings: AnswerSettings, path: Path, name: str, progress: EvalProgress
) -> None:
    """Answer what the journal lacks, score everything, and put the file of results in the journal's place."""
    total = len(measured.requests)
    with Journal(_journal_of(path), settings) as journal:
        progress.begin(name, total, len(journal.answers))
        left = [batch for batch in measured.batches if not all(place in journal.answers for place in batch)]
        for batch, following in with_following(left):
            requests, ahead = ([measured.requests[place] for place in places] for places in (batch, following))
            texts = engine.generate(requests, max_new_tokens=measured.decoding.max_new_tokens, following=ahead)
            journal.add(batch, texts)
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
    return Results(ids=tuple(sample.id for sample in samples), answers=tuple(answers), scores=scores)
