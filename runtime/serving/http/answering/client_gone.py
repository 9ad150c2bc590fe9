"""Work for a client that may go away, on a server that may stop."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

from runtime.serving.http.api_error import ApiError

Result = TypeVar("Result")


class ClientGoneError(Exception):
    """Nobody reads the answer any more."""


async def while_wanted(work: Coroutine[Any, Any, Result], receive: Receive, stopped: asyncio.Event) -> Result:
    """The result of `work`, which is cancelled when the client disconnects; then raises ClientGoneError. When `stopped`
    is set raises ApiError."""
    task = asyncio.ensure_future(work)
    gone, stop = asyncio.ensure_future(_disconnected(receive)), asyncio.ensure_future(stopped.wait())
    try:
        await asyncio.wait({task, gone, stop}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if gone.done():
            raise ClientGoneError
        raise ApiError(503, "the server is shutting down", code="shutting_down", retry_after_s=1)
    finally:
        for one in (task, gone, stop):
            one.cancel()
        await asyncio.gather(task, gone, stop, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
