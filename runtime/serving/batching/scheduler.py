"""One thread that runs an engine: requests of any variants join the batch between tokens and leave it when they end."""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from runtime.documents.graph_contract import INPUT_IDS
from runtime.engines.protocol import Engine, Prompt
from runtime.errors import OverloadedError, RequestError
from runtime.serving.batching.answering.sampler import Draw
from runtime.serving.batching.answering.transcript import Reader, Transcript
from runtime.serving.batching.entry import ENDED, LOADING, READING, RUNNING, WAITING, Entry
from runtime.serving.batching.limits import Limits
from runtime.serving.batching.listener import Listener
from runtime.serving.batching.queue_state import QueuedPrompt, QueueState
from runtime.serving.batching.times import Times
from runtime.serving.batching.turns import Turns
from runtime.serving.batching.variants import EngineVariants, Variants
from runtime.serving.request import Sampling

_log = logging.getLogger(__name__)


class Ticket:
    """A request that was submitted."""

    def __init__(self, entry: Entry, wake: Callable[[], None]) -> None:
        """`wake` lets the scheduler look at the entry."""
        self._entry, self._wake = entry, wake

    def cancel(self) -> None:
        """End the answer where it is, if it is not over; the listener is told that it finished, with CANCELLED."""
        self._entry.cancelled = True
        self._wake()


class Scheduler:
    """Runs `engine` on a thread of its own until it is closed; nobody else may run it. Variants are loaded on another
    thread, while the others' answers go on."""

    def __init__(
        self,
        engine: Engine,
        reader: Reader,
        *,
        limits: Limits | None = None,
        variants: Variants | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`variants` says what is loaded and how large it is; without it the engine loads, and nothing is known of
        sizes."""
        self._reader, self._limits, self._clock = reader, limits or Limits(), clock
        self._variants: Variants = variants or EngineVariants(engine)
        self._changed = threading.Condition()
        self._inbox: deque[Callable[[], None]] = deque()
        self._entries: dict[Entry, None] = {}  # those not ended, in the order of their arrival
        self._closed = False
        self._turns = Turns(engine, reader.texts, self._limits, clock=clock, ended=self._ended)
        self._loads = ThreadPoolExecutor(1, thread_name_prefix="load-variant")
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._thread.start()

    def submit(
        self,
        prompt: Prompt,
        sampling: Sampling,
        listener: Listener,
        *,
        deadline: float | None = None,
        predicted_ms: float | None = None,
    ) -> Ticket:
        """Let a request wait for its turn, from any thread; returns at once, and `listener` is told the rest.

        `deadline` is a moment of the scheduler's clock at which the answer must be complete, `predicted_ms` what it
        takes from the begin of its prompt: when less is left the request is shed with a DeadlineError.
        Raises OverloadedError when the queue is full or closed, RequestError for a prompt that no limit allows,
        DocumentError for an unknown variant.
        """
        entry = self._entry(prompt, sampling, listener, deadline, predicted_ms)
        with self._changed:
            if self._closed:
                raise OverloadedError("closing: no further request is taken", retry_after_s=1.0)
            waiting = sum(one.state in (LOADING, WAITING) for one in self._entries)
            if waiting >= self._limits.max_waiting:
                raise OverloadedError(
                    f"{waiting} requests wait; the limit is {self._limits.max_waiting}",
                    retry_after_s=self._turns.pace.retry_after_s(waiting),
                )
            self._entries[entry] = None
            self._inbox.append(partial(self._admit, entry))
            self._changed.notify()
        return Ticket(entry, partial(self._post, _look))

    def queue(self) -> QueueState:
        """What is to be done, from any thread."""
        with self._changed:
            entries = list(self._entries)
        entries.sort(key=lambda entry: entry.urgency)
        return QueueState(
            waiting=tuple(_queued(entry) for entry in entries if entry.state in (LOADING, WAITING)),
            reading=tuple(_queued(entry) for entry in entries if entry.state == READING),
            running=Counter(entry.prompt.variant for entry in entries if entry.state == RUNNING),
        )

    def close(self, *, drain: bool) -> None:
        """Take no further request and end the threads: after the last answer with `drain`, else at once, with an
        OverloadedError for each that is not over. The engine stays open."""
        with self._changed:
            self._closed = True
        if not drain:
            self._post(partial(self._fail, OverloadedError("closing", retry_after_s=1.0)))
        self._post(_look)
        self._thread.join()
        self._loads.shutdown(cancel_futures=True)
        self._run_tasks()  # a variant that was still being loaded is let go

    def _entry(
        self,
        prompt: Prompt,
        sampling: Sampling,
        listener: Listener,
        deadline: float | None,
        predicted_ms: float | None,
    ) -> Entry:
        """The request with all that can be said of it on its arrival."""
        now, predicted_s = self._clock(), (predicted_ms or 0.0) / 1e3
        tokens = len(prompt.arrays[INPUT_IDS])
        room = self._room(tokens, sampling)
        taken = self._variants.token_bytes(prompt.variant) * (tokens + room)
        if self._limits.cache_bytes is not None and taken > self._limits.cache_bytes:
            raise RequestError(
                f"{tokens + room} tokens take {taken} bytes of keys and values; there are {self._limits.cache_bytes}"
            )
        last = now + self._limits.patience_s if deadline is None else deadline
        return Entry(
            prompt=prompt,
            sampling=sampling,
            listener=listener,
            transcript=Transcript(self._reader, room=room, stops=sampling.stop),
            draw=Draw.of(sampling),
            times=Times(arrived=now),
            deadline=deadline,
            predicted_s=predicted_s,
            urgency=last - predicted_s,
            bytes=taken,
            unread=tokens,
        )

    def _room(self, tokens: int, sampling: Sampling) -> int:
        """How many tokens the answer may have."""
        wanted = sampling.max_tokens or self._limits.default_tokens
        context = self._variants.context_tokens
        if context is None:
            return wanted
        if tokens >= context:
            raise RequestError(f"the prompt has {tokens} tokens; with an answer the limit is {context}")
        return min(wanted, context - tokens)

    def _post(self, task: Callable[[], None]) -> None:
        """Have something done on the scheduler's thread."""
        with self._changed:
            self._inbox.append(task)
            self._changed.notify()

    def _run(self) -> None:
        """The thread."""
        while True:
            self._wait()
            try:
                self._run_tasks()
                if self._closed and not self._entries:
                    return
                self._turns.turn()
            except Exception as error:  # noqa: BLE001 - the outermost edge of the thread: later requests go on
                _log.exception("a turn failed")
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        """End all that was admitted with an error, wherever the turn that failed has left it."""
        with self._changed:
            admitted = [entry for entry in self._entries if entry.state != LOADING]
        self._turns.fail(error, admitted)

    def _run_tasks(self) -> None:
        while self._inbox:
            self._inbox.popleft()()

    def _wait(self) -> None:
        """Until there is something to do."""
        if self._inbox or self._turns.busy:
            return
        change = self._turns.waiting.next_change()
        timeout = None if change is None else max(0.0, change - self._clock())
        with self._changed:
            if not self._inbox and (self._entries or not self._closed):
                self._changed.wait(timeout)

    def _admit(self, entry: Entry) -> None:
        """Let it wait for its turn, and for its variant where that is not loaded."""
        self._turns.waiting.add(entry)
        if self._variants.hold_resident(entry.prompt.variant):
            self._loaded(entry, held=True)
        else:
            self._loads.submit(self._load, entry)

    def _load(self, entry: Entry) -> None:
        """On the thread that loads."""
        held = not entry.over
        try:
            if held:
                self._variants.hold(entry.prompt.variant)
        except Exception as error:  # noqa: BLE001 - whatever it is ends this request, and no other
            entry.error, held = error, False
        self._post(partial(self._loaded, entry, held=held))

    def _loaded(self, entry: Entry, *, held: bool) -> None:
        """Its variant is there, unless it is over by now."""
        entry.held = held
        if entry.state == ENDED:
            self._let_go(entry)
        elif held:
            entry.state = WAITING

    def _ended(self, entry: Entry) -> None:
        with self._changed:
            del self._entries[entry]
        self._let_go(entry)

    def _let_go(self, entry: Entry) -> None:
        if entry.held:
            entry.held = False
            self._variants.release(entry.prompt.variant)


def _look() -> None:
    """Nothing but a turn is wanted."""


def _queued(entry: Entry) -> QueuedPrompt:
    predicted_ms = 1e3 * entry.predicted_s or None
    return QueuedPrompt(variant=entry.prompt.variant, unread_tokens=entry.unread, predicted_ms=predicted_ms)
