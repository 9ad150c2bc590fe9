"""What a scheduler tells of a request, and whom."""

from dataclasses import dataclass
from typing import Protocol

from runtime.serving.answer import LogProbability, Piece, Timing


@dataclass(frozen=True, kw_only=True, slots=True)
class Finish:
    """What an answer came to: the text of all its pieces, its tokens (an end token included) and why it ended: STOP,
    LENGTH or CANCELLED (runtime/serving/answer.py). `reused_tokens` of its prompt were not read again."""

    text: str
    tokens: tuple[int, ...]
    reason: str
    timing: Timing
    log_probabilities: tuple[LogProbability, ...] = ()
    reused_tokens: int = 0


class Listener(Protocol):
    """Called on the scheduler's thread, so each must return quickly: `piece` for each token, then once `finished` or
    `failed`. A listener that raises is told `failed`, and its request ends."""

    def piece(self, piece: Piece) -> None:
        """A further token of the answer."""

    def finished(self, finish: Finish) -> None:
        """The answer is over."""

    def failed(self, error: Exception) -> None:
        """There will be no answer, or no more of it."""
