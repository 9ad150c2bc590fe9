"""An answer as it comes: pieces by iteration, in a thread or on an event loop, and at the end what it came to."""

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from typing import Protocol

from runtime.selection.choice import Choice
from runtime.serving.answer import Answer, Piece

Event = Piece | Answer | Exception
"""Pieces, and last the answer or what stopped it."""
Sink = Callable[[Event], None]
"""Told of events on the scheduler's thread."""


class Going(Protocol):
    """A request that is being answered."""

    @property
    def choice(self) -> Choice:
        """Who answers, and why not the others."""

    def cancel(self) -> None:
        """Stop; at any time, also twice."""


class Whole:
    """A sink that keeps the answer alone."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._future: Future[Answer] = Future()

    def __call__(self, event: Event) -> None:
        """See Sink."""
        if isinstance(event, Answer):
            self._future.set_result(event)
        elif isinstance(event, Exception):
            self._future.set_exception(event)

    def answer(self) -> Answer:
        """Wait for the answer. Raises what stopped it."""
        return self._future.result()


class _Ending:
    """What both kinds of streams have: the choice, and the answer once it is there."""

    def __init__(self, going: Going) -> None:
        """Of a request that was begun."""
        self._going = going
        self._answer: Answer | None = None
        self._over = False

    @property
    def choice(self) -> Choice:
        """Who answers, and why not the others."""
        return self._going.choice

    @property
    def answer(self) -> Answer:
        """The whole answer, after the last piece. Raises RuntimeError before."""
        if self._answer is None:
            raise RuntimeError("the answer is not over: read its pieces first")
        return self._answer

    def cancel(self) -> None:
        """Stop; at any time, also twice. The pieces end, and the answer has what there was."""
        self._going.cancel()

    def _end(self, event: Answer | Exception) -> None:
        self._over = True
        if isinstance(event, Exception):
            raise event
        self._answer = event


class Stream(_Ending):
    """Pieces for a thread; iterating raises what stopped the answer. As a context it cancels when it is left early."""

    def __init__(self, going: Going, events: "queue.SimpleQueue[Event]") -> None:
        """`events` are told by its sink."""
        super().__init__(going)
        self._events = events

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *error: object) -> None:
        self.cancel()

    def __iter__(self) -> Iterator[Piece]:
        """The pieces, in order."""
        while not self._over:
            event = self._events.get()
            if isinstance(event, Piece):
                yield event
            else:
                self._end(event)


class AsyncStream(_Ending):
    """Pieces for the event loop that it was made on; iterating raises what stopped the answer."""

    def __init__(self, going: Going, events: "asyncio.Queue[Event]") -> None:
        """`events` are told by its sink, through the loop."""
        super().__init__(going)
        self._events = events

    async def __aiter__(self) -> AsyncIterator[Piece]:
        """The pieces, in order."""
        while not self._over:
            event = await self._events.get()
            if isinstance(event, Piece):
                yield event
            else:
                self._end(event)
