"""What /v1/chat/completions gives: a whole answer, or chunks."""

from typing import Literal

from runtime.serving.answer import LogProbability
from runtime.serving.http.schema.account import Account, Usage
from runtime.serving.http.schema.strict import Given


class LikelyToken(Given):
    """A token that could have stood here. `bytes` are its text's in UTF-8."""

    token: str
    logprob: float
    bytes: list[int] | None


class ChosenToken(LikelyToken):
    """A token of the answer and the most likely ones at its place."""

    top_logprobs: list[LikelyToken]


class ChatLogProbabilities(Given):
    """Of each token of the text."""

    content: list[ChosenToken]
    refusal: None = None


class AnswerMessage(Given):
    """The assistant's."""

    role: Literal["assistant"]
    content: str
    refusal: None = None


class ChatChoice(Given):
    """The one answer."""

    index: Literal[0]
    message: AnswerMessage
    logprobs: ChatLogProbabilities | None
    finish_reason: Literal["stop", "length"]


class ChatCompletion(Given):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    trimoe: Account


class Delta(Given):
    """What a chunk adds; fields that are missing add nothing."""

    role: Literal["assistant"] | None = None
    content: str | None = None


class ChatChunkChoice(Given):
    """The one answer, further."""

    index: Literal[0]
    delta: Delta
    logprobs: ChatLogProbabilities | None = None
    finish_reason: Literal["stop", "length"] | None = None


class ChatChunk(Given):
    """A piece of an answer; the last ones say why it ended, what it took, and, if asked for, its tokens."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChatChunkChoice]
    usage: Usage | None = None
    trimoe: Account | None = None


def chat_log_probabilities(found: tuple[LogProbability, ...]) -> ChatLogProbabilities:
    """In OpenAI's form for chats."""
    return ChatLogProbabilities(
        content=[
            ChosenToken(
                token=one.text,
                logprob=finite(one.value),
                bytes=_bytes(one.text),
                top_logprobs=[
                    LikelyToken(token=text, logprob=finite(value), bytes=_bytes(text))
                    for _, text, value in one.most_likely
                ],
            )
            for one in found
        ]
    )


def finite(value: float) -> float:
    """A logarithm that JSON can hold; OpenAI's own stand-in for minus infinity."""
    return max(value, -9999.0)


def _bytes(text: str) -> list[int]:
    return list(text.encode("utf-8", "replace"))
