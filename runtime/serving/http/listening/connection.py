"""A connection that gives no client more time or space than the limits allow, and says so in OpenAI's form."""

import asyncio
import sys
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from runtime.serving.http.api_error import JSON, ApiError
from runtime.serving.http.limits import Limits


class Connection(H11Protocol):
    """Uvicorn's, which waits for heads of requests and for slow readers as long as they like."""

    def __init__(self, *, limits: Limits, **settings: Any) -> None:
        """`settings` are uvicorn's."""
        super().__init__(**settings)
        self._limits = limits
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See H11Protocol; connections beyond the limit are told so and closed."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            said = f"{self._limits.connections} connections are open, which is the limit"
            self._refuse(ApiError(503, said, code="too_many_connections", retry_after_s=1))
            return
        self._head_timer = self.loop.call_later(self._limits.header_s, self._head_is_late)

    def data_received(self, data: bytes) -> None:
        """See H11Protocol; the time for a head runs from its first byte, or from the begin of the connection."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_head_timer()
        elif self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(self._limits.header_s, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """See H11Protocol."""
        self._stop_head_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """See H11Protocol; a client has so long to take what is there."""
        super().pause_writing()
        self._stop_write_timer()
        self._write_timer = self.loop.call_later(self._limits.write_s, self.transport.abort)

    def resume_writing(self) -> None:
        """See H11Protocol."""
        self._stop_write_timer()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Uvicorn calls this for what is no HTTP, and for heads that are too large."""
        error = sys.exception()
        if isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == 431:
            said = f"the request's head is larger than {self._limits.header_bytes} bytes"
            self._refuse(ApiError(431, said, code="headers_too_large"))
        else:
            self._refuse(ApiError(400, "the request is no HTTP/1.1", code="invalid_http"))

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            return
        if self.conn.trailing_data[0]:
            said = f"the request's head did not arrive within {self._limits.header_s:g} s"
            self._refuse(ApiError(408, said, code="header_timeout"))
        else:
            self.transport.close()

    def _refuse(self, error: ApiError) -> None:
        """Send the error, if nothing else is being sent, and close."""
        content = error.content
        length = str(len(content))
        headers = {"content-type": JSON, "content-length": length, "connection": "close", **error.headers}
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        try:
            head = self.conn.send(h11.Response(status_code=error.status, headers=pairs))
            body = self.conn.send(h11.Data(data=content))
            self.transport.write(b"".join((head or b"", body or b"", self.conn.send(h11.EndOfMessage()) or b"")))
        except h11.LocalProtocolError:
            self.transport.abort()
            return
        self.transport.close()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
