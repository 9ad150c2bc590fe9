"""The `trimoe` object of answers: who answered, and predicted against actual time."""

from runtime.selection.choice import Choice
from runtime.serving.answer import Answer
from runtime.serving.http.schema.strict import Given


class Account(Given):
    """Who answered and what it took, in milliseconds; predictions are null without an estimator. `stages` are parts of
    `actual_ms`; `accuracy` is what was expected on the request's task."""

    variant: str
    dtype: str
    predicted_ms: float | None
    upper_ms: float | None
    actual_ms: float
    queue_ms: float
    first_token_ms: float
    stages: dict[str, float]
    accuracy: float | None
    best_effort: bool


class Usage(Given):
    """Numbers of tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


def account_of(choice: Choice, answer: Answer) -> Account:
    """The account of an answer."""
    accuracy = choice.candidate.accuracy
    return Account(
        variant=answer.variant,
        dtype=answer.dtype,
        predicted_ms=_rounded(answer.predicted_ms),
        upper_ms=_rounded(answer.upper_ms),
        actual_ms=round(answer.timing.total_ms, 3),
        queue_ms=round(answer.timing.queue_ms, 3),
        first_token_ms=round(answer.timing.first_token_ms, 3),
        stages={stage: round(ms, 3) for stage, ms in answer.timing.stages.items()},
        accuracy=None if accuracy is None else accuracy.score,
        best_effort=answer.best_effort,
    )


def usage_of(answer: Answer) -> Usage:
    """The tokens of an answer."""
    read, written = answer.prompt_tokens, len(answer.tokens)
    return Usage(prompt_tokens=read, completion_tokens=written, total_tokens=read + written)


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 3)
