"""A batch of sequences of several variants: those that can run together do, put back in the order of the sequences."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from runtime.engines.protocol import Sequences

Task = Callable[[int], None]  # work that is told how many threads it may use
Run = Callable[[Sequence[Task]], None]


class Rows(Protocol):
    """Sequences that run together. What they have to do comes as tasks that do not wait for each other."""

    @property
    def movable(self) -> bool:
        """Whether rows can be joined and dropped: otherwise they stay apart, and dropped ones are fed nothing."""

    @property
    def logits(self) -> npt.NDArray[np.float32]:
        """What may follow each row, whose prompts are read: [rows, vocabulary]."""

    @property
    def reused(self) -> Sequence[int]:
        """Tokens of each row's prompt whose keys and values were taken over from another's."""

    @property
    def unread(self) -> bool:
        """Whether prompts, or the ends of some, are still to be read."""

    def __len__(self) -> int: ...

    def reading(self, tokens: int | None) -> Sequence[Task]:
        """What reads so many further tokens of each prompt (None: all that are left); nothing when all are read."""

    def decoding(self, tokens: Sequence[int | None], share: float) -> Sequence[Task]:
        """What appends a token to each row but those given None; the rows are this share of all that run."""

    def takes(self, other: "Rows") -> bool:
        """Whether the other ones can join."""

    def join(self, other: "Rows") -> None:
        """Take over rows that it takes, behind the own ones; all prompts are read."""

    def keep(self, places: Sequence[int]) -> None:
        """Drop all rows but those at `places`, one at least, which then stand in that order."""


def run_in_turn(tasks: Sequence[Task], *, threads: int = 1) -> None:
    """Run one task after the other, each with all the threads."""
    for task in tasks:
        task(threads)


Apart = Callable[[], "Sequence[tuple[Sequence[int], MixedBatch]]"]


class MixedBatch:
    """See Sequences in runtime/engines/protocol.py. `parts` are rows with their places among the prompts, `run` runs
    what is to be done for all of them; `apart` makes the same batch in parts, where nothing of it has run."""

    def __init__(
        self, parts: Sequence[tuple[Sequence[int], Rows]], run: Run = run_in_turn, apart: Apart | None = None
    ) -> None:
        """Nothing is run yet."""
        self._parts, self._run, self._apart = [rows for _, rows in parts], run, apart
        where = {place: (rows, row) for places, rows in parts for row, place in enumerate(places)}
        self._where = [where[place] for place in range(len(where))]  # of each sequence: its rows, and which of them
        self._logits: npt.NDArray[np.float32] | None = None
        self._gathered = len(parts) == 1

    @property
    def logits(self) -> npt.NDArray[np.float32]:
        """See Sequences: [sequences, vocabulary]."""
        if self._logits is None:
            self._read(None)
            self._logits = self._collected()
        return self._logits

    @property
    def reused(self) -> tuple[int, ...]:
        """See Sequences."""
        return tuple(rows.reused[row] for rows, row in self._where)

    def apart(self) -> "Sequence[tuple[Sequence[int], Sequences]]":
        """See Sequences: the whole where a part of it has run already."""
        return [(range(len(self._where)), self)] if self._apart is None else self._apart()

    def read(self, tokens: int) -> bool:
        """See Sequences. Raises ValueError for fewer than one token."""
        if tokens < 1:
            raise ValueError(f"{tokens} tokens cannot be read: 1 is the least")
        return self._read(tokens)

    def decode(self, tokens: Sequence[int | None]) -> None:
        """See Sequences. Rows that are all over do not run. Raises ValueError when there is not a token, or None, for
        each sequence."""
        if len(tokens) != len(self._where):
            raise ValueError(f"{len(tokens)} tokens do not fit {len(self._where)} sequences")
        self._read(None)
        self._gather()
        going = self._going(tokens)
        count = sum(len(rows) for rows, _ in going)
        self._run([task for rows, own in going for task in rows.decoding(own, len(rows) / count)])
        self._logits = None

    def join(self, others: Sequences) -> None:
        """See Sequences. Raises ValueError for what is no other batch of an engine."""
        if not isinstance(others, MixedBatch) or others is self:
            raise ValueError(f"{others!r} cannot join: it is no other batch of this engine")
        for batch in (self, others):
            batch._read(None)
        self._gather()
        self._where += self._taken(others._parts, others._where)
        others._parts, others._where, others._logits, self._logits = [], [], None, None

    def keep(self, places: Sequence[int]) -> None:
        """See Sequences. Raises ValueError for a place that is none, or comes twice."""
        if len(set(places)) < len(places) or not all(0 <= place < len(self._where) for place in places):
            raise ValueError(f"{list(places)} cannot be kept: {len(self._where)} sequences stand at 0 and further")
        chosen = [self._where[place] for place in places]
        self._apart, self._logits, used = None, None, {id(rows) for rows, _ in chosen}
        self._parts = [rows for rows in self._parts if id(rows) in used]
        moved = {id(rows): self._drop(rows, [row for one, row in chosen if one is rows]) for rows in self._parts}
        self._where = [(rows, moved[id(rows)][row]) for rows, row in chosen]

    def _read(self, tokens: int | None) -> bool:
        """Read so much further (None: to the end); whether all prompts are read to their end."""
        if any(rows.unread for rows in self._parts):
            self._apart, self._logits = None, None
            self._run([task for rows in self._parts for task in rows.reading(tokens)])
        return not any(rows.unread for rows in self._parts)

    def _gather(self) -> None:
        """Rows whose prompts were read apart run together from now on, where they can."""
        if not self._gathered:
            parts, self._parts, self._gathered = self._parts, [], True
            self._where = self._taken(parts, self._where)

    def _taken(self, parts: Sequence[Rows], where: Sequence[tuple[Rows, int]]) -> list[tuple[Rows, int]]:
        """Take over rows; where each of those `where` says is now."""
        moved = {id(rows): self._take(rows) for rows in parts}
        places = ((*moved[id(rows)], row) for rows, row in where)
        return [(rows, behind + row) for rows, behind, row in places]

    def _going(self, tokens: Sequence[int | None]) -> list[tuple[Rows, list[int | None]]]:
        """Each of the rows that go on with its tokens; those of the most rows first, which take longest."""
        own: dict[int, list[int | None]] = {id(rows): [None] * len(rows) for rows in self._parts}
        for (rows, row), token in zip(self._where, tokens, strict=True):
            own[id(rows)][row] = token
        going = [rows for rows in self._parts if any(token is not None for token in own[id(rows)])]
        return [(rows, own[id(rows)]) for rows in sorted(going, key=len, reverse=True)]

    def _collected(self) -> npt.NDArray[np.float32]:
        if len(self._parts) == 1 and [row for _, row in self._where] == list(range(len(self._parts[0]))):
            return self._parts[0].logits
        logits = {id(rows): rows.logits for rows in self._parts}
        found = [logits[id(rows)][row] for rows, row in self._where]
        return np.stack(found) if found else np.zeros((0, 0), np.float32)

    def _take(self, rows: Rows) -> tuple[Rows, int]:
        """Where rows go: which rows they are among now, and behind how many."""
        for own in self._parts:
            if own.movable and own.takes(rows):
                behind = len(own)
                own.join(rows)
                return own, behind
        self._parts.append(rows)
        return rows, 0

    def _drop(self, rows: Rows, kept: Sequence[int]) -> dict[int, int]:
        """Drop all but the rows `kept`; where each of these is now. The last ones fill the gaps, so that few move."""
        places = list(range(len(rows)))
        if rows.movable and len(kept) < len(rows):
            self._run(rows.reading(None))
            places = fill_gaps(kept)
            rows.keep(places)
        return {old: new for new, old in enumerate(places)}


def fill_gaps(kept: Sequence[int]) -> list[int]:
    """The places `kept` in an order in which most stay where they are: those too far behind fill the gaps."""
    staying, behind = {place for place in kept if place < len(kept)}, [place for place in kept if place >= len(kept)]
    return [place if place in staying else behind.pop() for place in range(len(kept))]
