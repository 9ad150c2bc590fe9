"""One answer in progress: it has a place, a family that stays open, time limits, and an entry in all books."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

from runtime.serving.answer import CANCELLED, Answer, Piece
from runtime.serving.http.answering.failures import api_error
from runtime.serving.http.answering.prompt_length import check_tokens
from runtime.serving.http.api_error import ApiError
from runtime.serving.http.arrival import Arrival
from runtime.serving.http.served import Served, ServedStream
from runtime.serving.http.service import Service
from runtime.serving.request import Request

Read = Callable[[Served], Awaitable[Request]]
GONE = "client_gone"


class Generation:
    """An answer whose pieces are read once; made by `generating`."""

    def __init__(self, service: Service, request: Request, stream: ServedStream, begun: float) -> None:
        self._service, self._begun = service, begun
        self.request, self.stream = request, stream
        self._pieces = aiter(stream)

    async def pieces(self) -> AsyncGenerator[Piece, None]:
        """The pieces as they come. Raises ApiError."""
        limits = self._service.limits
        until = limits.queue_s
        while True:
            try:
                async with asyncio.timeout(self._begun + until - time.monotonic()):
                    piece = await anext(self._pieces)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                code = "queue_timeout" if until == limits.queue_s else "answer_timeout"
                said = f"no token after {until:g} s" if code == "queue_timeout" else f"not finished after {until:g} s"
                retry = self._service.admission.retry_after_s
                raise ApiError(503, said, code=code, retry_after_s=retry) from error
            yield piece
            until = limits.answer_s

    async def finish(self) -> Answer:
        """The whole answer. Raises ApiError."""
        async for _ in self.pieces():
            pass
        answer = self.stream.answer
        if answer.reason == CANCELLED:
            raise ApiError(503, "the answer was cancelled", code="cancelled", retry_after_s=1)
        return answer


@contextlib.asynccontextmanager
async def generating(service: Service, read: Read, arrival: Arrival) -> AsyncIterator[Generation]:
    """A generation for the request that `read` gives, whose budget runs from its arrival; all that it holds is given
    back at the end of the block, and what it came to is counted. Raises ApiError."""
    request: Request | None = None
    try:
        with service.admission.place(), service.current.lease() as family:
            begun, request = time.monotonic(), await read(family)
            await check_tokens(family, request, most=service.limits.prompt_tokens)
            stream = await family.stream_async(request, request_id=arrival.id, began=arrival.began)
            try:
                yield Generation(service, request, stream, begun)
                service.books.answered(request, stream.choice, stream.answer)
            finally:
                stream.cancel()
            service.admission.took(time.monotonic() - begun)
    except Exception as error:
        refusal = api_error(error, retry_after_s=service.admission.retry_after_s)
        service.books.refused(request, refusal.code)
        if refusal is error:
            raise
        raise refusal from error
    except asyncio.CancelledError:
        service.books.refused(request, GONE)
        raise
