"""What the engine does next: a chunk of the prompts that wait, then a token for all answers, over and over."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

from runtime.engines.protocol import Engine
from runtime.errors import DeadlineError
from runtime.serving.batching.answering.log_probabilities import Texts
from runtime.serving.batching.batch import Batch, Clock, EngineFault
from runtime.serving.batching.entry import ENDED, RUNNING, Entry
from runtime.serving.batching.limits import Limits
from runtime.serving.batching.pace import Pace
from runtime.serving.batching.reading import Reading
from runtime.serving.batching.waiting import Free, Waiting

_log = logging.getLogger(__name__)


class Turns:
    """The state of a scheduler, all on one thread; `ended` is called with each entry that is over, after its listener.

    Which prompt is read next: the one that needs the fewest chunks, so that newcomers get their first token soon; but
    where that passes over a more urgent one, the next chunk is the most urgent one's, so that none starves.
    """

    def __init__(
        self, engine: Engine, texts: Texts, limits: Limits, *, clock: Clock, ended: Callable[[Entry], None]
    ) -> None:
        """Nothing waits yet."""
        self._engine, self._texts, self._limits, self._clock, self._ended = engine, texts, limits, clock, ended
        self._readings: list[Reading] = []
        self._running: Batch | None = None
        self._passed_over = False
        self.waiting = Waiting(limits)
        self.pace = Pace(limits.max_rows)

    @property
    def busy(self) -> bool:
        """Whether a turn would run the engine."""
        return self._running is not None or bool(self._readings) or self.waiting.ready

    def turn(self) -> None:
        """Shed what cannot be answered, read a chunk, then decode a token for all answers."""
        self._shed()
        self._read_chunk()
        if self._running is not None:
            self._step(self._running)

    def fail(self, error: Exception, others: Iterable[Entry] = ()) -> None:
        """End everything with an error, `others` too, which may be between two places of this state."""
        entries = list(dict.fromkeys((*self.waiting, *self._active(), *others)))
        self._readings, self._running, self.waiting = [], None, Waiting(self._limits)
        for entry in entries:
            entry.error = entry.error or error
        self._end(entries)

    def _active(self) -> Iterator[Entry]:
        """Those that have rows in the engine."""
        for reading in self._readings:
            yield from reading.entries
        if self._running is not None:
            yield from self._running.entries

    def _shed(self) -> None:
        """Take out who was cancelled or is too late, in every phase."""
        now = self._clock()
        if len(self.waiting):
            self._end(self.waiting.shed(now, self.pace.retry_after_s(len(self.waiting))))
        for reading in list(self._readings):
            for entry in reading.entries:
                self._check_deadline(entry, now)
            if all(entry.over for entry in reading.entries):
                self._readings.remove(reading)
                self._end(reading.entries)
        if self._running is not None:
            self._let_leave(self._running)

    def _check_deadline(self, entry: Entry, now: float) -> None:
        """A prompt need not be read to its end when the deadline has passed."""
        if not entry.over and not entry.transcript.tokens and entry.deadline is not None and now > entry.deadline:
            entry.error = DeadlineError(
                f"the deadline passed {1e3 * (now - entry.deadline):.0f} ms ago, before the prompt was read",
                retry_after_s=self.pace.retry_after_s(len(self.waiting)),
            )

    def _read_chunk(self) -> None:
        """Read a chunk of the prompt whose turn it is; after its last one, its answer is continued with the others."""
        reading = self._next_reading()
        if reading is None:
            return
        try:
            batch = reading.read(self._limits.chunk_tokens)
            if batch is not None:
                self._readings.remove(reading)
                self._begin(batch)
        except EngineFault as fault:
            self._recover(reading.entries, fault)

    def _next_reading(self) -> Reading | None:
        """The prompt whose turn it is, or several that wait and fit into one chunk together."""
        if not self._readings and not len(self.waiting):
            return None
        fitting = self.waiting.fitting(self._free())
        candidates: list[Reading | Entry] = [*self._readings, *fitting]
        if not candidates:
            return None
        urgent = min(candidates, key=lambda one: one.urgency)
        chosen = urgent if self._passed_over else min(candidates, key=lambda one: (self._chunks(one), one.urgency))
        group: Sequence[Reading | Entry] = [chosen]
        if isinstance(chosen, Entry):
            group = entries = self._with_others(chosen, fitting)
            chosen = self._start(entries)
        self._passed_over = urgent not in group
        return chosen

    def _chunks(self, one: Reading | Entry) -> int:
        return -(-one.unread // self._limits.chunk_tokens)

    def _with_others(self, chosen: Entry, fitting: Iterable[Entry]) -> list[Entry]:
        """The entry with others whose prompts, padded to the longest, fit into its chunk; a suspect stays alone."""
        group, longest = [chosen], chosen.unread
        for entry in fitting if not chosen.suspect else ():
            if entry is not chosen and not entry.suspect:
                padded = max(longest, entry.unread)
                if padded * (len(group) + 1) <= self._limits.chunk_tokens:
                    group, longest = [*group, entry], padded
        return group

    def _start(self, entries: Sequence[Entry]) -> Reading:
        for entry in entries:
            self.waiting.remove(entry)
        reading = Reading(self._engine, entries, texts=self._texts, clock=self._clock)
        self._readings.append(reading)
        return reading

    def _free(self) -> Free:
        active, limit = list(self._active()), self._limits.cache_bytes
        taken = sum(entry.bytes for entry in active)
        return Free(rows=self._limits.max_rows - len(active), bytes=None if limit is None else limit - taken)

    def _begin(self, batch: Batch) -> None:
        """Continue answers whose first tokens are chosen. Raises EngineFault."""
        self._end(batch.leave())
        if any(entry.suspect for entry in batch.entries):
            batch.step()  # alone: it must not take the others down once more
            self._end(batch.leave())
        if not batch.entries:
            return
        for entry in batch.entries:
            entry.state = RUNNING
        if self._running is None:
            self._running = batch
        else:
            both = [*self._running.entries, *batch.entries]
            try:
                self._running.join(batch)
            except EngineFault as fault:
                self._recover(both, fault)

    def _step(self, running: Batch) -> None:
        try:
            running.step()
        except EngineFault as fault:
            self._recover(running.entries, fault)
        else:
            self._let_leave(running)

    def _let_leave(self, running: Batch) -> None:
        if not running.ending:
            return
        try:
            self._end(running.leave())
        except EngineFault as fault:
            self._recover(running.entries, fault)
        else:
            if not running.entries:
                self._running = None

    def _recover(self, entries: Sequence[Entry], fault: EngineFault) -> None:
        """The engine failed with these entries: drop what it was doing with them. One that was alone, or fails for the
        second time, ends with the engine's error; the others begin anew, each alone."""
        concerned = tuple(entries)
        _log.warning("the engine failed with %d sequences", len(concerned), exc_info=fault.error)
        self._drop(concerned)
        for entry in concerned:
            if not entry.over and (entry.suspect or len(concerned) == 1):
                entry.error = fault.error
        self._end([entry for entry in concerned if entry.over])
        for entry in concerned:
            if not entry.over:
                entry.start_again()
                self.waiting.add(entry)

    def _drop(self, concerned: Sequence[Entry]) -> None:
        """Forget what these entries were doing."""
        self._readings = [one for one in self._readings if not set(one.entries) & set(concerned)]
        if self._running is not None and set(self._running.entries) & set(concerned):
            self._running = None

    def _end(self, entries: Iterable[Entry]) -> None:
        """Tell the listeners of entries that are over, once."""
        now = self._clock()
        for entry in entries:
            if entry.state == ENDED:
                continue
            entry.state = ENDED
            if entry.error is None and entry.times.began is not None:
                self.pace.answered(now - entry.times.began)
            entry.end(now)
            self._ended(entry)
