"""What a client gets: pieces of an answer as they come, and what it came to."""

from collections.abc import Mapping
from dataclasses import dataclass

STOP, LENGTH, CANCELLED = "stop", "length", "cancelled"


@dataclass(frozen=True, kw_only=True, slots=True)
class LogProbability:
    """The natural logarithm of a token's probability, and those of the most likely ones: (token, text, logarithm)."""

    token: int
    text: str
    value: float
    most_likely: tuple[tuple[int, str, float], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """Text that may be shown now: `text` is empty while a character or a stop text is still open."""

    text: str
    token: int
    log_probability: LogProbability | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """Milliseconds that an answer took: waiting, until the first token (from arrival), and in all; `stages` by the
    names of runtime/engines/stages.py, `decode` for all further tokens together."""

    queue_ms: float
    first_token_ms: float
    total_ms: float
    stages: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A finished answer. `reason` is STOP (an end token or a stop text), LENGTH or CANCELLED; predictions are None
    where the family has no estimator; `best_effort` says that the request's limits could not be kept; `reused_tokens`
    of the prompt were read for an earlier one."""

    text: str
    tokens: tuple[int, ...]
    reason: str
    variant: str
    dtype: str
    prompt_tokens: int
    predicted_ms: float | None
    upper_ms: float | None
    best_effort: bool
    timing: Timing
    log_probabilities: tuple[LogProbability, ...] = ()
    reused_tokens: int = 0
