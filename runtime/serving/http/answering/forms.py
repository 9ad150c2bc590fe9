"""Answers in the two forms of OpenAI's interface, whole and in chunks."""

import time
import uuid
from collections.abc import Sequence
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from runtime.serving.answer import LENGTH, Answer, Piece
from runtime.serving.http.schema.account import Account, Usage, usage_of
from runtime.serving.http.schema.chat_answer import (
    AnswerMessage,
    ChatChoice,
    ChatChunk,
    ChatChunkChoice,
    ChatCompletion,
    Delta,
    chat_log_probabilities,
)
from runtime.serving.http.schema.completion_answer import Completion, CompletionChoice, completion_log_probabilities

Finish = Literal["stop", "length"]


class Form(Protocol):
    """How an answer is written down."""

    def first(self) -> Sequence[BaseModel]:
        """What a stream begins with."""

    def piece(self, piece: Piece) -> BaseModel:
        """A chunk of text."""

    def last(self, answer: Answer, account: Account) -> BaseModel:
        """Why it ended and what it took."""

    def usage(self, usage: Usage) -> BaseModel:
        """The chunk of usage behind all others."""

    def whole(self, answer: Answer, account: Account) -> BaseModel:
        """The whole answer."""


class ChatForm:
    """Of /v1/chat/completions."""

    def __init__(self, model: str, *, log_probabilities: bool) -> None:
        self._head: dict[str, Any] = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}
        self._log_probabilities = log_probabilities

    def first(self) -> Sequence[ChatChunk]:
        """See Form."""
        return (self._chunk(Delta(role="assistant", content="")),)

    def piece(self, piece: Piece) -> ChatChunk:
        """See Form."""
        found = piece.log_probability
        logprobs = chat_log_probabilities((found,)) if self._log_probabilities and found is not None else None
        return self._chunk(Delta(content=piece.text), logprobs=logprobs)

    def last(self, answer: Answer, account: Account) -> ChatChunk:
        """See Form."""
        return self._chunk(Delta(), finish_reason=finish_reason(answer), account=account)

    def usage(self, usage: Usage) -> ChatChunk:
        """See Form."""
        return ChatChunk(**self._head, object="chat.completion.chunk", choices=[], usage=usage)

    def whole(self, answer: Answer, account: Account) -> ChatCompletion:
        """See Form."""
        logprobs = chat_log_probabilities(answer.log_probabilities) if self._log_probabilities else None
        choice = ChatChoice(
            index=0,
            message=AnswerMessage(role="assistant", content=answer.text),
            logprobs=logprobs,
            finish_reason=finish_reason(answer),
        )
        usage = usage_of(answer)
        return ChatCompletion(**self._head, object="chat.completion", choices=[choice], usage=usage, trimoe=account)

    def _chunk(self, delta: Delta, *, account: Account | None = None, **choice: Any) -> ChatChunk:
        one = ChatChunkChoice(index=0, delta=delta, **choice)
        return ChatChunk(**self._head, object="chat.completion.chunk", choices=[one], trimoe=account)


class CompletionForm:
    """Of /v1/completions."""

    def __init__(self, model: str, *, log_probabilities: bool) -> None:
        self._head: dict[str, Any] = {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": model,
        }
        self._log_probabilities, self._offset = log_probabilities, 0

    def first(self) -> Sequence[Completion]:
        """See Form."""
        return ()

    def piece(self, piece: Piece) -> Completion:
        """See Form."""
        found = piece.log_probability
        logprobs = None
        if self._log_probabilities and found is not None:
            logprobs = completion_log_probabilities((found,), self._offset)
            self._offset += len(found.text)
        choice = CompletionChoice(index=0, text=piece.text, logprobs=logprobs, finish_reason=None)
        return Completion(**self._head, choices=[choice])

    def last(self, answer: Answer, account: Account) -> Completion:
        """See Form."""
        choice = CompletionChoice(index=0, text="", logprobs=None, finish_reason=finish_reason(answer))
        return Completion(**self._head, choices=[choice], trimoe=account)

    def usage(self, usage: Usage) -> Completion:
        """See Form."""
        return Completion(**self._head, choices=[], usage=usage)

    def whole(self, answer: Answer, account: Account) -> Completion:
        """See Form."""
        logprobs = completion_log_probabilities(answer.log_probabilities, 0) if self._log_probabilities else None
        choice = CompletionChoice(index=0, text=answer.text, logprobs=logprobs, finish_reason=finish_reason(answer))
        return Completion(**self._head, choices=[choice], usage=usage_of(answer), trimoe=account)


def finish_reason(answer: Answer) -> Finish:
    """OpenAI's word for why an answer ended."""
    return "length" if answer.reason == LENGTH else "stop"
