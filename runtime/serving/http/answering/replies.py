"""The two ways in which an answer is sent: whole, or as server-sent events."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from runtime.selection.choice import Choice
from runtime.serving.http.answering.client_gone import ClientGoneError, while_wanted
from runtime.serving.http.answering.forms import Form
from runtime.serving.http.answering.generation import Generation, Read, generating
from runtime.serving.http.api_error import JSON, ApiError
from runtime.serving.http.arrival import Arrival, arrival_of
from runtime.serving.http.schema.account import Account, account_of, usage_of
from runtime.serving.http.service import Service

EVENTS = "text/event-stream"


class Reply(Response):
    """A response that begins to answer when it is sent, so that all it holds is in one block; it stops when the client
    goes away."""

    def __init__(self, service: Service, read: Read, form: Form) -> None:
        self._service, self._read, self._form = service, read, form
        self._started = False
        super().__init__()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See Response. Raises ApiError before anything is sent; afterwards the error is an event."""
        try:
            await while_wanted(self._answer(arrival_of(scope), send), receive, self._service.admission.stopped)
        except ClientGoneError:
            return
        except ApiError as error:
            if not self._started:
                raise
            await send({"type": "http.response.body", "body": _event(error.content), "more_body": False})

    async def _answer(self, arrival: Arrival, send: Send) -> None:
        raise NotImplementedError

    async def _start(self, send: Send, headers: Mapping[str, str]) -> None:
        pairs = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        self._started = True
        await send({"type": "http.response.start", "status": 200, "headers": pairs})


class WholeReply(Reply):
    """One JSON document."""

    async def _answer(self, arrival: Arrival, send: Send) -> None:
        async with generating(self._service, self._read, arrival) as generation:
            answer = await generation.finish()
            account = account_of(generation.stream.choice, answer)
        body = self._form.whole(answer, account).model_dump_json().encode()
        length = {"content-type": JSON, "content-length": str(len(body))}
        await self._start(send, {**length, **choice_headers(generation.stream.choice), **account_headers(account)})
        await send({"type": "http.response.body", "body": body, "more_body": False})


class EventReply(Reply):
    """Server-sent events: chunks, then `[DONE]`. An error before the first piece is a status; later it is an event."""

    def __init__(self, service: Service, read: Read, form: Form, *, include_usage: bool) -> None:
        super().__init__(service, read, form)
        self._include_usage = include_usage

    async def _answer(self, arrival: Arrival, send: Send) -> None:
        async with (
            generating(self._service, self._read, arrival) as generation,
            aclosing(self._events(generation)) as events,
        ):
            async for event in events:
                if not self._started:
                    head = {"content-type": f"{EVENTS}; charset=utf-8", "cache-control": "no-store"}
                    await self._start(send, {**head, **choice_headers(generation.stream.choice)})
                await send({"type": "http.response.body", "body": event, "more_body": True})
                await asyncio.sleep(0)  # pieces may be there already: a client that is gone is noticed here
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _events(self, generation: Generation) -> AsyncGenerator[bytes, None]:
        first = list(self._form.first())
        async with aclosing(generation.pieces()) as pieces:
            async for piece in pieces:
                for chunk in first:
                    yield _chunk(chunk)
                first = []
                if piece.text or piece.log_probability is not None:
                    yield _chunk(self._form.piece(piece))
        for chunk in first:
            yield _chunk(chunk)
        answer = generation.stream.answer
        yield _chunk(self._form.last(answer, account_of(generation.stream.choice, answer)))
        if self._include_usage:
            yield _chunk(self._form.usage(usage_of(answer)))
        yield _event(b"[DONE]")


def choice_headers(choice: Choice) -> dict[str, str]:
    """What is known before the answer."""
    one = choice.candidate
    times = {"predicted-ms": one.predicted_ms, "upper-ms": one.upper_ms}
    return {
        "x-trimoe-variant": one.variant,
        "x-trimoe-dtype": one.dtype,
        "x-trimoe-best-effort": str(choice.best_effort).lower(),
        **{f"x-trimoe-{name}": f"{ms:.3f}" for name, ms in times.items() if ms is not None},
    }


def account_headers(account: Account) -> dict[str, str]:
    """What is known after the answer."""
    times = {"actual": account.actual_ms, "queue": account.queue_ms, "first-token": account.first_token_ms}
    return {f"x-trimoe-{name}-ms": f"{ms:.3f}" for name, ms in times.items()}


def _chunk(chunk: BaseModel) -> bytes:
    return _event(chunk.model_dump_json(exclude_none=True).encode())


def _event(content: bytes) -> bytes:
    return b"data: " + content + b"\n\n"
