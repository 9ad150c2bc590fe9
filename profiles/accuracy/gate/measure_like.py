"""Measuring a family as a baseline was measured: its data sets, prompts, metrics and engines."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from profiles.accuracy.answerer import open_answerers
from profiles.accuracy.asking import asking_of
from profiles.accuracy.evaluation.evaluate import EvalProgress, EvalRequest, evaluate, family_record
from profiles.accuracy.evaluation.first_pass import read_all
from profiles.accuracy.gate.asked_scores import (
    asked_scores,
    asked_variants,
    compared_forms,
    note_other_model,
)
from profiles.accuracy.gate.gate_request import GateRequest
from profiles.accuracy.gate.run_gate import is_study
from profiles.datasets.changes import Changes
from profiles.datasets.dataset import Dataset, Settings
from profiles.datasets.digits.dataset import DEMO_TASKS
from profiles.datasets.named import DEMO, load_named
from profiles.errors import MeasurementError
from profiles.sample import digest_samples
from runtime.documents.baseline import ONNX, ScoreRecord, read_baseline
from runtime.engines.prompts import PromptReader


def measure_like(request: GateRequest, data: Sequence[str], columns: Mapping[str, str], progress: EvalProgress) -> None:
    """Measure the family on the baseline's data sets, with its prompts, metrics and engines, into the file
    `request.measured`.

    `data` and `columns` as `load_named` takes them; the demo's data sets need not be named. Raises MeasurementError
    when the baseline has no score that was asked for or is of another model, and when a data set was not given or has
    other samples.
    """
    if is_study(request.baseline):
        raise MeasurementError(
            f"{request.measured}: missing; the study's drops need the family measured first: trimoe eval … --out "
            f"{request.measured}"
        )
    baseline = read_baseline(request.baseline)
    note_other_model(request, baseline)
    variants = asked_variants(request, baseline)
    scores = asked_scores(request, baseline)
    forms = [form for form, _ in compared_forms(baseline, request.choice)]
    engines = tuple(dict.fromkeys(engine for engine, _ in forms))
    dtypes = tuple(dict.fromkeys(dtype for engine, dtype in forms if engine == ONNX))
    datasets = _load_datasets(scores, data, columns)
    reader = PromptReader(request.family / request.manifest.variant(variants[0]).folder)
    asked = scores[0].decoding
    asking = asking_of(reader, chat=asked.chat, system=asked.system, stop=asked.stop)
    read_all(datasets, reader, progress, asking=asking)
    evaluate(
        EvalRequest(
            family=family_record(request.manifest),
            variants=variants,
            datasets=datasets,
            engines=open_answerers(engines, request.family, request.manifest, dtypes=dtypes),
            asking=asking,
            batch_size=max(score.decoding.batch_size for score in scores),
        ),
        request.measured,
        progress,
    )


def _load_datasets(
    scores: Sequence[ScoreRecord], data: Sequence[str], columns: Mapping[str, str]
) -> tuple[Dataset, ...]:
    """The data sets of the scores, as they were measured. Raises MeasurementError for one that was not given."""
    wanted = {score.dataset.name: score for score in scores}
    implied = [name for name in wanted if name in DEMO_TASKS and name not in data and DEMO not in data]
    loaded = {dataset.name: dataset for dataset in load_named((*data, *implied), Changes(columns=dict(columns)))}
    for name in wanted:
        if name not in loaded:
            raise MeasurementError(f"the baseline has {name}; say where it is: --data {name}=PATH")
    return tuple(_as_measured(loaded[name], score) for name, score in wanted.items())


def _as_measured(dataset: Dataset, score: ScoreRecord) -> Dataset:
    """The data set cut and asked as the baseline has it. Raises MeasurementError for other samples."""
    settings = Settings(
        task=score.dataset.task,
        metric=score.definition.metric,
        cleanup=score.definition.cleanup,
        prompt=score.decoding.prompt,
        max_new_tokens=score.decoding.max_new_tokens,
    )
    skipped = score.dataset.skipped
    chosen = dataset.limited(score.dataset.samples + len(skipped)).samples
    left = tuple(one for one in chosen if one.id not in skipped)
    cut = replace(dataset, samples=left, settings=settings, skipped=skipped)
    if digest_samples(cut.samples) != score.dataset.digest:
        raise MeasurementError(
            f"{dataset.name}: not the baseline's samples (sha256 {score.dataset.digest[:12]}…): another version, "
            "split or order"
        )
    return cut
