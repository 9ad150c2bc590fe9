"""Requests, forecasts and choices as the lines of the decision log, and back."""

from collections.abc import Mapping, Sequence

from msgspec.structs import asdict

from runtime.documents.manifest import Manifest
from runtime.selection.candidate import Accuracy, Candidate
from runtime.selection.demand import Demand
from runtime.selection.reasons import Reasons
from runtime.serving.answer import Timing
from runtime.serving.decisions.record import (
    AheadRecord,
    CandidateRecord,
    OutcomeRecord,
    WishRecord,
    WorkRecord,
)
from runtime.serving.forecasting.lengths import Length
from runtime.serving.forecasting.work import Ahead, Work
from runtime.serving.request import Wish


def wish_record(wish: Wish) -> WishRecord:
    """A wish as it is logged."""
    return WishRecord(
        budget_ms=wish.budget_ms,
        min_accuracy=wish.min_accuracy,
        task=wish.task,
        variant=wish.variant,
        dtype=wish.dtype,
        best_effort=wish.best_effort,
        elastic=wish.elastic,
    )


def wish_of(record: WishRecord) -> Wish:
    """A logged wish."""
    return Wish(**asdict(record))


def work_record(work: Work, *, cap: int) -> WorkRecord:
    """Work as it is logged; `cap` is what the answer may have at most."""
    return WorkRecord(
        text_tokens=work.text_tokens,
        vision_tokens=work.vision_tokens,
        cap=cap,
        mean_tokens=round(work.length.mean, 2),
        high_tokens=work.length.high,
        spent_ms=_ms(work.spent_ms),
    )


def work_of(record: WorkRecord, length: Length | None = None) -> Work:
    """The work that was logged, with another length where one is given."""
    logged = Length(mean=record.mean_tokens, high=record.high_tokens)
    return Work(
        text_tokens=record.text_tokens,
        vision_tokens=record.vision_tokens,
        length=length or logged,
        spent_ms=record.spent_ms,
    )


def ahead_record(ahead: Ahead) -> AheadRecord:
    """A queue as it is logged."""
    return AheadRecord(waiting=dict(ahead.waiting), running=dict(ahead.running), max_rows=ahead.max_rows)


def ahead_of(record: AheadRecord) -> Ahead:
    """A queue that was logged."""
    return Ahead(waiting=record.waiting, running=record.running, max_rows=record.max_rows)


def candidate_records(
    candidates: Sequence[Candidate], chosen: Candidate | None, demand: Demand
) -> tuple[CandidateRecord, ...]:
    """The candidates as they are logged, in their order, each with the kind of its reason."""
    kinds = {id(one): kind for one, kind in Reasons(candidates, chosen, demand).kinds()}
    return tuple(_candidate_record(one, kinds.get(id(one), "")) for one in candidates)


def candidates_of(records: Sequence[CandidateRecord], manifest: Manifest) -> tuple[Candidate, ...]:
    """The candidates that were logged of a family. Raises DocumentError for a variant that it does not have."""
    return tuple(_candidate(record, manifest) for record in records)


def outcome_record(reason: str, tokens: int, timing: Timing) -> OutcomeRecord:
    """What became of a request, as it is logged."""
    return OutcomeRecord(
        reason=reason,
        tokens=tokens,
        queue_ms=_ms(timing.queue_ms),
        first_token_ms=_ms(timing.first_token_ms),
        total_ms=_ms(timing.total_ms),
        stages=_rounded(timing.stages),
    )


def _candidate_record(one: Candidate, kind: str) -> CandidateRecord:
    accuracy = one.accuracy
    return CandidateRecord(
        one.variant,
        one.dtype,
        None if one.predicted_ms is None else _ms(one.predicted_ms),
        None if one.upper_ms is None else _ms(one.upper_ms),
        None if accuracy is None else round(accuracy.score, 6),
        None if accuracy is None else round(accuracy.low, 6),
        accuracy is not None and accuracy.measured,
        kind,
    )


def _candidate(record: CandidateRecord, manifest: Manifest) -> Candidate:
    variant = manifest.variant(record.variant)
    score, low = record.score, record.low
    accuracy = None if score is None or low is None else Accuracy(score=score, low=low, measured=record.measured)
    return Candidate(
        variant=record.variant,
        dtype=record.dtype,
        accuracy=accuracy,
        predicted_ms=record.predicted_ms,
        upper_ms=record.upper_ms,
        bytes=variant.bytes,
        active_parameters=variant.active_parameters,
    )


def _rounded(stages: Mapping[str, float]) -> dict[str, float]:
    return {name: _ms(value) for name, value in stages.items()}


def _ms(value: float) -> float:
    return round(max(value, 0.0), 3)
