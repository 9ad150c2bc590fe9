"""Requests that the server has to answer, or to refuse in a way that it declares."""

import json
import random
from collections.abc import Sequence
from typing import Any

from profiles.benchmarks.soak.recorded import RecordedQuestion
from profiles.benchmarks.soak.wire import Reply, connected, exchange, json_request, read_reply

CHAT = "/v1/chat/completions"
REFUSALS = {422, 429, 503}
ASKING = {"whole", "stream", "slow_reader", "byte_by_byte"}  # actions that ask for an answer and stay for it
CHECKED = {"answered", "streamed"}  # what became of those whose answer is the recorded one
ENGINE_FAILED = "engine_failed"
ATTEMPTS = 5  # to get an answer of an engine that fails now and then
BUDGETS_MS = (None, None, 2.0, 60.0, 150.0, 400.0, 3000.0)


class SoakError(Exception):
    """The server did what it must not do."""


class GoodClient:
    """Asks recorded questions, of the family called `model`."""

    def __init__(self, port: int, model: str, questions: Sequence[RecordedQuestion]) -> None:
        """Of a server on that port of loopback."""
        self._port, self._model, self._questions = port, model, questions

    def whole(self, rng: random.Random) -> str:
        """One document."""
        question, body = self._ask(rng)
        reply = exchange(self._port, [json_request(CHAT, body)])
        if reply.status != 200:
            return refusal(reply)
        self._check(question, *_answer(reply.document))
        return "answered"

    def stream(self, rng: random.Random) -> str:
        """Server-sent events."""
        return self._streamed(rng, piece_bytes=2**16, pause_s=0.0)

    def slow_reader(self, rng: random.Random) -> str:
        """Events, taken a few bytes at a time."""
        return self._streamed(rng, piece_bytes=97, pause_s=0.02)

    def byte_by_byte(self, rng: random.Random) -> str:
        """A body in chunks of one byte."""
        question = min(self._questions, key=lambda one: len(json.dumps(one.content)))
        body = json.dumps(question.body(model=self._model, max_tokens=1)).encode()[:-1] + b"}"
        top = json_request(CHAT, b"").replace(b"content-length: 0", b"transfer-encoding: chunked")
        chunks = (b"1\r\n%c\r\n" % byte for byte in body)
        reply = exchange(self._port, [top, *chunks, b"0\r\n\r\n"])
        return "answered" if reply.status == 200 else refusal(reply)

    def leave(self, rng: random.Random) -> str:
        """Go away in the middle of an answer, or before it begins."""
        _, body = self._ask(rng)
        with connected(self._port) as connection:
            connection.sendall(json_request(CHAT, {**body, "stream": True}))
            if rng.random() < 0.5:
                connection.recv(rng.choice((1, 200, 800)))
        return "left"

    def pinned(self, variant: str) -> Reply:
        """The answer, or the refusal, of one variant."""
        return exchange(self._port, [json_request(CHAT, self._questions[0].body(model=variant))])

    def check_pinned(self, variant: str) -> None:
        """Raises SoakError unless the variant gives its recorded answer, the engine's faults aside."""
        replies = (self.pinned(variant) for _ in range(ATTEMPTS))
        reply = next((one for one in replies if not engine_failed(one)), None)
        if reply is None:
            raise SoakError(f"{variant} failed {ATTEMPTS} times, one after the other")
        if reply.status != 200:
            raise SoakError(f"{variant} answered with {reply.status}: {reply.body[:200]!r}")
        self._check(self._questions[0], *_answer(reply.document))

    def _streamed(self, rng: random.Random, *, piece_bytes: int, pause_s: float) -> str:
        question, body = self._ask(rng)
        with connected(self._port) as connection:
            connection.sendall(json_request(CHAT, {**body, "stream": True}))
            reply = read_reply(connection, piece_bytes=piece_bytes, pause_s=pause_s)
        if reply.status != 200:
            return refusal(reply)
        *events, last = reply.events or [""]
        found = [json.loads(event) for event in events]
        if last != "[DONE]":
            return refused_event(last)
        text = "".join(one["choices"][0]["delta"].get("content", "") for one in found if one["choices"])
        self._check(question, text, next(one["trimoe"]["variant"] for one in found if "trimoe" in one))
        return "streamed"

    def _ask(self, rng: random.Random) -> tuple[RecordedQuestion, dict[str, Any]]:
        """A question with wishes."""
        question = rng.choice(self._questions)
        pinned = rng.random() < 0.4
        model = rng.choice(tuple(question.answers)) if pinned else self._model
        budget_ms = rng.choice(BUDGETS_MS)
        wishes: dict[str, Any] = {} if budget_ms is None else {"latency_budget_ms": budget_ms}
        if rng.random() < 0.5:
            wishes |= {"best_effort": rng.random() < 0.5} | ({"task": question.task} if question.task else {})
        return question, question.body(model=model, **wishes)

    def _check(self, question: RecordedQuestion, text: str, variant: str) -> None:
        if text != question.answers[variant]:
            raise SoakError(f"{variant} answered {text!r}, alone it was {question.answers[variant]!r}")


def engine_failed(reply: Reply) -> bool:
    """Whether it was refused because the engine failed, or what it was to run."""
    return reply.status == 503 and reply.document["error"]["code"] == ENGINE_FAILED


def refusal(reply: Reply) -> str:
    """The code of a refusal that may be. Raises SoakError for any other."""
    if reply.status not in REFUSALS:
        raise SoakError(f"status {reply.status}: {reply.body[:200]!r}")
    if reply.status != 422 and "retry-after" not in reply.headers:
        raise SoakError(f"status {reply.status} without Retry-After: {reply.body[:200]!r}")
    return f"refused: {reply.document['error']['code']}"


def refused_event(text: str) -> str:
    """The code of an error that ends a stream. Raises SoakError where the stream just ends."""
    document = json.loads(text or "{}")
    if "error" not in document:
        raise SoakError(f"a stream ended without [DONE] and without an error: {text[:200]!r}")
    return f"refused in the stream: {document['error']['code']}"


def _answer(document: dict[str, Any]) -> tuple[str, str]:
    return document["choices"][0]["message"]["content"], document["trimoe"]["variant"]
