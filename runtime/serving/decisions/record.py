"""The decision log's lines: what was known of a request, what was chosen, and what became of it.

JSON lines in trimoe's own format, "trimoe.decisions" version 1: first a line with format, version and the fields of
LogHeader, then a Decision a line; the types below are the definition. Times are milliseconds.
"""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from runtime.documents.schema import Natural, Positive, Sha256

FORMAT = "trimoe.decisions"
VERSION = 1

Ms = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


class LogHeader(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What served: the family's name, the digest of its weights and variants (runtime/documents/family_digest.py), the
    engine, and the types of weights."""

    trimoe: str
    family: str
    digest: Sha256
    engine: str
    dtypes: tuple[str, ...]


class WishRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """See Wish (runtime/serving/request.py)."""

    budget_ms: float | None = None
    min_accuracy: float | None = None
    task: str | None = None
    variant: str | None = None
    dtype: str | None = None
    best_effort: bool = False
    elastic: bool = True


class WorkRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The sizes of the prompt; tokens that the answer may have, would have in the mean, and hardly exceeds; time spent
    before the choice."""

    text_tokens: Natural
    vision_tokens: Natural
    cap: Positive
    mean_tokens: Annotated[float, Meta(ge=1)]
    high_tokens: Positive
    spent_ms: Ms


class AheadRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """See Ahead (runtime/serving/forecasting/work.py)."""

    waiting: Mapping[str, tuple[Positive, Natural]]
    running: Mapping[str, Positive]
    max_rows: Positive


class CandidateRecord(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A candidate, written as a list; `kind` is why it was not chosen (runtime/selection/reasons.py), empty for the one
    that was."""

    variant: str
    dtype: str
    predicted_ms: Ms | None
    upper_ms: Ms | None
    score: Share | None
    low: Share | None
    measured: bool
    kind: str


class OutcomeRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the answer ended, by a reason of runtime/serving/answer.py, its tokens, and what it took from the request's
    arrival."""

    reason: str
    tokens: Natural
    queue_ms: Ms
    first_token_ms: Ms
    total_ms: Ms
    stages: Mapping[str, Ms]


class Decision(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A request. `time` is its arrival, seconds since 1970; `chosen` the place of the candidate that answered, None
    with `refused`, the text of the refusal. Without an `outcome` the answer failed. `stop_texts` of the client's own
    could end it. `prompt` is there only where prompts are logged."""

    time: float
    request: str
    wish: WishRecord
    work: WorkRecord
    ahead: Mapping[str, AheadRecord]
    candidates: tuple[CandidateRecord, ...]
    chosen: Natural | None = None
    best_effort: bool = False
    refused: str | None = None
    outcome: OutcomeRecord | None = None
    stop_texts: Natural = 0
    prompt: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError unless one of the candidates was chosen or the request refused."""
        if (self.chosen is None) == (self.refused is None):
            raise ValueError("a request is answered or refused: expected one of chosen and refused")
        if self.chosen is not None and self.chosen >= len(self.candidates):
            raise ValueError(f"chosen is {self.chosen}, there are {len(self.candidates)} candidates")
