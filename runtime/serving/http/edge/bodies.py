"""Bodies of requests, read whole before a route sees them: bounded in bytes and time, all of them together too."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.serving.http.api_error import JSON, ApiError
from runtime.serving.http.edge.respond import send_error
from runtime.serving.http.limits import Limits

# What a refused client still sends is read for a while, for one that is cut off while it writes may miss the answer.
_DRAINED_BYTES, _DRAIN_S, _DRAIN_IDLE_S = 64 * 2**20, 3.0, 0.5


class _DisconnectedError(Exception):
    """The client went away within its body."""


class Bodies:
    """Hands on requests whose body is there; refuses what is too large, too slow or no JSON. Bodies count until their
    answers end, for what was read of them stays in memory as long."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app, self._limits, self._buffered = app, limits, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = bytearray()
        try:
            self._check_head(scope)
            async with asyncio.timeout(self._limits.body_s):
                await self._read(receive, body)
            await self._app(scope, _replayed(bytes(body), receive), send)
        except _DisconnectedError:
            return
        except TimeoutError:
            said = f"the body did not arrive within {self._limits.body_s:g} s"
            await send_error(send, ApiError(408, said, code="body_timeout"), close=True)
        except _RefusedBodyError as error:
            if error.more:
                await _drain(scope, receive)
            await send_error(send, error.refusal, close=True)
        finally:
            self._buffered -= len(body)

    def _check_head(self, scope: Scope) -> None:
        size = sum(len(name) + len(value) + 4 for name, value in scope["headers"]) + len(scope.get("raw_path", b""))
        if size + len(scope["query_string"]) > self._limits.header_bytes:
            said = f"the request's head is larger than {self._limits.header_bytes} bytes"
            raise _RefusedBodyError(ApiError(431, said, code="headers_too_large"), more=False)
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length[:20]) > self._limits.body_bytes:
            raise _too_large(self._limits.body_bytes)
        has_body = length != b"0" or b"transfer-encoding" in headers
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if has_body and kind != JSON.encode():
            shown = kind[:80].decode("latin-1") or "none"
            raise _RefusedBodyError(
                ApiError(415, f"content type {shown}, expected {JSON}", code="unsupported_media_type")
            )

    async def _read(self, receive: Receive, body: bytearray) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _DisconnectedError
            piece = message.get("body", b"")
            body += piece
            self._buffered += len(piece)
            more = message.get("more_body", False)
            if len(body) > self._limits.body_bytes:
                raise _too_large(self._limits.body_bytes, more=more)
            if self._buffered > self._limits.buffered_bytes:
                said = f"bodies of {self._buffered} bytes are held, the limit is {self._limits.buffered_bytes}"
                raise _RefusedBodyError(ApiError(503, said, code="overloaded", retry_after_s=1), more=more)
            if not more:
                return


class _RefusedBodyError(Exception):
    """`more`: the client is not done sending."""

    def __init__(self, refusal: ApiError, *, more: bool = True) -> None:
        super().__init__(refusal.message)
        self.refusal, self.more = refusal, more


def _too_large(most: int, *, more: bool = True) -> _RefusedBodyError:
    return _RefusedBodyError(ApiError(413, f"the body is larger than {most} bytes", code="body_too_large"), more=more)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body in one message, then what the client does."""
    held: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return held.pop() if held else await receive()

    return replay


async def _drain(scope: Scope, receive: Receive) -> None:
    """Read on for a while, unless the client waits for leave to send its body."""
    if dict(scope["headers"]).get(b"expect", b"").lower() == b"100-continue":
        return
    taken = 0
    try:
        async with asyncio.timeout(_DRAIN_S):
            while taken < _DRAINED_BYTES:
                message = await asyncio.wait_for(receive(), _DRAIN_IDLE_S)
                taken += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return
