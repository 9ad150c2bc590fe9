"""What /v1/completions gives: a whole answer, or chunks of the same form."""

from typing import Literal

from runtime.serving.answer import LogProbability
from runtime.serving.http.schema.account import Account, Usage
from runtime.serving.http.schema.chat_answer import finite
from runtime.serving.http.schema.strict import Given


class CompletionLogProbabilities(Given):
    """Of each token; `text_offset` counts characters of the answer."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class CompletionChoice(Given):
    """The one answer, or a piece of it."""

    index: Literal[0]
    text: str
    logprobs: CompletionLogProbabilities | None
    finish_reason: Literal["stop", "length"] | None


class Completion(Given):
    """An answer, or a chunk of one."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage | None = None
    trimoe: Account | None = None


def completion_log_probabilities(found: tuple[LogProbability, ...], begin: int) -> CompletionLogProbabilities:
    """In OpenAI's form for completions; the first token stands at `begin`."""
    offsets, at = [], begin
    for one in found:
        offsets.append(at)
        at += len(one.text)
    return CompletionLogProbabilities(
        tokens=[one.text for one in found],
        token_logprobs=[finite(one.value) for one in found],
        top_logprobs=[{text: finite(value) for _, text, value in one.most_likely} for one in found],
        text_offset=offsets,
    )
