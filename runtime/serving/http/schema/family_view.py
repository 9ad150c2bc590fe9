"""What the page and programs read of the family: its variants, what would be chosen, what was."""

from runtime.selection.candidate import Accuracy, Candidate
from runtime.selection.choice import Choice, NoFeasibleVariantError, Reason
from runtime.serving.http.schema.strict import Given


class VariantView(Given):
    """A variant: kept blocks, removed ones, and experts per token (layer 0, others); null for dense models."""

    id: str
    blocks: int
    removed: list[int]
    top_k: list[int] | None
    parameters: int
    active_parameters: int
    bytes: int


class FamilyView(Given):
    """The family that is served; a request may ask for answers of at most `max_output_tokens`."""

    name: str
    digest: str
    architecture: str
    reads_images: bool
    dtypes: list[str]
    tasks: list[str]
    max_output_tokens: int
    variants: list[VariantView]


class AccuracyView(Given):
    """An expected score and the lower end of its interval; `measured` false: taken from the pruning study, or,
    `estimated`, predicted by an accuracy model."""

    score: float
    low: float
    measured: bool
    estimated: bool


class CandidateView(Given):
    """A variant with what it would cost. `kind` and `reason` say why it is not the one; null for the one."""

    variant: str
    dtype: str
    accuracy: AccuracyView | None
    predicted_ms: float | None
    upper_ms: float | None
    bytes: int
    kind: str | None
    reason: str | None


class ChoiceView(Given):
    """What would be chosen now: `chosen` is the first candidate's variant, or null, and then `message` says what would
    be feasible."""

    chosen: str | None
    dtype: str | None
    best_effort: bool
    message: str | None
    least_budget_ms: float | None
    best_accuracy: float | None
    candidates: list[CandidateView]


class DecisionView(Given):
    """An answered or refused request, without its text. `outcome` is the reason of the end or the error's code."""

    number: int
    at: float
    outcome: str
    variant: str | None = None
    dtype: str | None = None
    task: str | None = None
    budget_ms: float | None = None
    predicted_ms: float | None = None
    upper_ms: float | None = None
    actual_ms: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class DecisionsView(Given):
    """Those after the number asked for, the oldest first; `last` is the number to ask with next."""

    last: int
    decisions: list[DecisionView]


def choice_view(choice: Choice) -> ChoiceView:
    """A choice, the chosen candidate first."""
    candidate = choice.candidate
    return ChoiceView(
        chosen=candidate.variant,
        dtype=candidate.dtype,
        best_effort=choice.best_effort,
        message=None,
        least_budget_ms=None,
        best_accuracy=None,
        candidates=[_candidate(candidate, None), *(_candidate(one.candidate, one) for one in choice.reasons)],
    )


def refusal_view(error: NoFeasibleVariantError) -> ChoiceView:
    """Why nothing is feasible."""
    return ChoiceView(
        chosen=None,
        dtype=None,
        best_effort=False,
        message=str(error),
        least_budget_ms=error.least_budget_ms,
        best_accuracy=error.best_accuracy,
        candidates=[_candidate(one.candidate, one) for one in error.reasons],
    )


def _candidate(found: Candidate, reason: Reason | None) -> CandidateView:
    return CandidateView(
        variant=found.variant,
        dtype=found.dtype,
        accuracy=None if found.accuracy is None else _accuracy(found.accuracy),
        predicted_ms=found.predicted_ms,
        upper_ms=found.upper_ms,
        bytes=found.bytes,
        kind=None if reason is None else reason.kind,
        reason=None if reason is None else reason.text,
    )


def _accuracy(found: Accuracy) -> AccuracyView:
    return AccuracyView(score=found.score, low=found.low, measured=found.measured, estimated=found.estimated)
