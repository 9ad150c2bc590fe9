"""From two baselines to pairs of scores: the same samples, asked and scored in the same way."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from profiles.accuracy.evaluation.results import recorded_results
from profiles.accuracy.gate.compare import Pair
from profiles.accuracy.gate.limits import Limits
from profiles.errors import MeasurementError
from profiles.metrics.catalogue import find_metric
from runtime.documents.baseline import Baseline, ScoreRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A baseline and the folder it lies in, where its results are."""

    baseline: Baseline
    folder: Path


class Subject(NamedTuple):
    """A variant by an engine in a dtype."""

    variant: str
    engine: str
    dtype: str

    def __str__(self) -> str:
        return f"{self.variant} ({self.engine} {self.dtype})"


def pair_scores(
    stored: Stored,
    measured: Stored,
    *,
    subject: Subject,
    against: Subject,
    limits: Mapping[str, Limits],
) -> tuple[Pair, ...]:
    """Pairs of every data set of the baseline for one variant in one form, `limits` by data set; `against` is the
    baseline's.

    Raises MeasurementError when a data set of the baseline was not measured, when samples, prompt, decoding or
    definition differ, and when results are missing or damaged.
    """
    expected = scores_of(stored.baseline, *against)
    if not expected:
        have = dict.fromkeys(f"{score.variant} ({score.engine} {score.dtype})" for score in stored.baseline.scores)
        raise MeasurementError(f"the baseline has no scores of {against}; it has {', '.join(have)}")
    found = scores_of(measured.baseline, *subject)
    missing = [name for name in expected if name not in found]
    if missing:
        raise MeasurementError(
            f"{subject}: {', '.join(missing)} of the baseline was not measured, so the worst data set is unknown"
        )
    return tuple(pair_of(stored, measured, expected[name], found[name], limits[name]) for name in expected)


def scores_of(baseline: Baseline, variant: str, engine: str, dtype: str) -> dict[str, ScoreRecord]:
    """The scores of a variant by one engine in one dtype, by data set."""
    return {
        score.dataset.name: score
        for score in baseline.scores
        if (score.variant, score.engine, score.dtype) == (variant, engine, dtype)
    }


def pair_of(
    stored: Stored,
    measured: Stored,
    before: ScoreRecord,
    now: ScoreRecord,
    limits: Limits,
    *,
    whose: str = "the baseline's",
) -> Pair:
    """The pair of two scores, `before` in `stored` and `now` in `measured`; `whose` says in errors whose score `before`
    is.

    Raises MeasurementError when samples, prompt, decoding or definition differ, and when results are missing or
    damaged.
    """
    place = f"{now.variant} ({now.engine}) on {now.dataset.name}"
    _refuse_difference(place, before, now, whose)
    old, new = recorded_results(before, stored.folder), recorded_results(now, measured.folder)
    if old.ids != new.ids:
        raise MeasurementError(f"{place}: the results list other samples than {whose}")
    return Pair(
        dataset=now.dataset.name,
        task=now.dataset.task,
        baseline=old.values,
        measured=new.values,
        binary=find_metric(now.definition.metric).binary,
        limits=limits,
        images=new.images,
    )


def _refuse_difference(place: str, before: ScoreRecord, now: ScoreRecord, whose: str) -> None:
    """Raise MeasurementError when the two were not measured on the same samples in the same way."""
    for what, mine, theirs in (
        ("samples differ", now.dataset.digest, before.dataset.digest),
        ("metric differs", now.definition.metric, before.definition.metric),
        ("metric's definition differs", now.definition.meaning, before.definition.meaning),
        ("clean-up differs", now.definition.cleanup, before.definition.cleanup),
        ("prompt differs", now.decoding.prompt, before.decoding.prompt),
        ("decoding differs", now.decoding.strategy, before.decoding.strategy),
        ("chat template differs", now.decoding.chat, before.decoding.chat),
        ("system text differs", now.decoding.system, before.decoding.system),
        ("stop texts differ", now.decoding.stop, before.decoding.stop),
        ("limit of new tokens differs", now.decoding.max_new_tokens, before.decoding.max_new_tokens),
    ):
        if mine != theirs:
            raise MeasurementError(
                f"{place}: the {what} from {whose} ({mine!r}, there {theirs!r}), so scores cannot be paired"
            )
