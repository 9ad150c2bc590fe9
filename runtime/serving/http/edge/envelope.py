"""What every response has: an id, headers that keep browsers careful, a line in the log, a count."""

import logging
import time

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.serving.http.arrival import Arrival
from runtime.serving.http.observing.metrics import Metrics

_log = logging.getLogger(__name__)
_OTHER = "other"
_METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"})


class Envelope:
    """The outermost layer. Routes are counted by their pattern, so that clients cannot make up names."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        arrival, status = Arrival(), 0
        arrival.note(scope)

        async def enveloped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = arrival.id
                headers["x-content-type-options"] = "nosniff"
                headers.setdefault("cache-control", "no-store")
            await send(message)

        try:
            await self._app(scope, receive, enveloped)
        finally:
            route = getattr(scope.get("route"), "path", _OTHER)
            method = scope["method"] if scope["method"] in _METHODS else _OTHER
            self._metrics.responded(route, method, status)
            fields = {"id": arrival.id, "method": method, "route": route, "status": status}
            _log.info(
                "request", extra={"fields": {**fields, "ms": round((time.monotonic() - arrival.began) * 1000, 3)}}
            )
