"""What a scheduler has before it, for forecasts of what a further request would wait for."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class QueuedPrompt:
    """A prompt not read to its end: the tokens that are left, and the milliseconds that its answer was predicted to
    take from its begin, None where nothing was predicted."""

    variant: str
    unread_tokens: int
    predicted_ms: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueState:
    """`waiting` and `reading` prompts, the most urgent first, and the rows by variant that are `running`."""

    waiting: tuple[QueuedPrompt, ...]
    reading: tuple[QueuedPrompt, ...]
    running: Mapping[str, int]
