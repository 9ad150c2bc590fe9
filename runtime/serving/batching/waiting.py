"""Requests that wait to be read: the most urgent first, and none that cannot be answered in time any more."""

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass

from runtime.errors import DeadlineError, OverloadedError
from runtime.serving.batching.entry import WAITING, Entry
from runtime.serving.batching.limits import Limits


@dataclass(frozen=True, kw_only=True, slots=True)
class Free:
    """Rows and bytes of keys and values (None: no limit) that are not taken."""

    rows: int
    bytes: int | None


class Waiting:
    """Entries in the order of their urgency, equal ones in that of their arrival."""

    def __init__(self, limits: Limits) -> None:
        """Nobody waits yet."""
        self._limits, self._entries = limits, list[Entry]()

    def __len__(self) -> int:
        """How many wait, those whose variant is being loaded among them."""
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        """The most urgent first."""
        return iter(self._entries)

    @property
    def ready(self) -> bool:
        """Whether any could be read."""
        return any(entry.state == WAITING for entry in self._entries)

    def add(self, entry: Entry) -> None:
        """Let one wait."""
        insort(self._entries, entry, key=lambda one: one.urgency)

    def remove(self, entry: Entry) -> None:
        """It waits no longer."""
        self._entries.remove(entry)

    def shed(self, now: float, retry_after_s: float) -> list[Entry]:
        """Take out those that are over, waited too long, or would be answered after their deadline; the last two get
        their error."""
        if not self._entries:
            return []
        for entry in self._entries:
            if not entry.over and not entry.transcript.tokens:
                entry.error = self._too_late(entry, now, retry_after_s)
        shed = [entry for entry in self._entries if entry.over]
        if shed:
            self._entries = [entry for entry in self._entries if not entry.over]
        return shed

    def next_change(self) -> float | None:
        """The moment at which the first one is to be shed, if none is read before."""
        return min((self._last_moment(entry) for entry in self._entries), default=None)

    def fitting(self, free: Free) -> list[Entry]:
        """The most urgent that there is room for together. One that there is none for keeps those behind it back, or
        small ones would overtake a large one for ever."""
        found: list[Entry] = []
        taken = 0
        for entry in self._entries:
            if entry.state != WAITING:
                continue
            taken += entry.bytes
            if len(found) == free.rows or (free.bytes is not None and taken > free.bytes):
                break
            found.append(entry)
        return found

    def _last_moment(self, entry: Entry) -> float:
        longest = entry.times.arrived + self._limits.max_wait_s
        return longest if entry.deadline is None else min(longest, entry.deadline - entry.predicted_s)

    def _too_late(self, entry: Entry, now: float, retry_after_s: float) -> Exception | None:
        waited = now - entry.times.arrived
        if entry.deadline is not None and now + entry.predicted_s > entry.deadline:
            late_ms = 1e3 * (now + entry.predicted_s - entry.deadline)
            return DeadlineError(
                f"after {1e3 * waited:.0f} ms in the queue the answer would come {late_ms:.0f} ms after its deadline",
                retry_after_s=retry_after_s,
            )
        if waited > self._limits.max_wait_s:
            limit = self._limits.max_wait_s
            return OverloadedError(f"waited {waited:.1f} s; the limit is {limit:g} s", retry_after_s=retry_after_s)
        return None
