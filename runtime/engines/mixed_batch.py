"""A batch of sequences of several variants: rows that run together, put back in the order of the prompts."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt

Run = Callable[[Sequence[Callable[[], None]]], None]


class Rows(Protocol):
    """Sequences of one variant that run together."""

    @property
    def logits(self) -> npt.NDArray[np.float32]:
        """What may follow each row: [rows, vocabulary]."""

    def prefill(self) -> None:
        """Run the prompts."""

    def decode(self, tokens: Sequence[int | None]) -> None:
        """Append a token to each row but those given None."""


def run_in_turn(tasks: Sequence[Callable[[], None]]) -> None:
    """Run one task after the other."""
    for task in tasks:
        task()


class Part:
    """See Sequences: rows of one variant, whose prompts run when they are first needed."""

    def __init__(self, rows: Rows) -> None:
        self._rows, self._waiting = rows, True

    @property
    def logits(self) -> npt.NDArray[np.float32]:
        """See Sequences."""
        self.prefill()
        return self._rows.logits

    def prefill(self) -> None:
        """Run the prompts, once."""
        if self._waiting:
            self._rows.prefill()
            self._waiting = False

    def decode(self, tokens: Sequence[int | None]) -> None:
        """See Sequences."""
        self.prefill()
        self._rows.decode(tokens)

    def apart(self) -> "Sequence[tuple[Sequence[int], Part]]":
        """See Sequences: nothing is left to part."""
        return [(range(len(self.logits)), self)]


class MixedBatch:
    """See Sequences in runtime/engines/protocol.py. `parts` are rows with their places among the prompts; `run` runs
    what is to be done for several of them."""

    def __init__(self, parts: Sequence[tuple[Sequence[int], Rows]], run: Run = run_in_turn) -> None:
        """Nothing is run yet: parts that go on alone run their prompts alone too."""
        self._parts, self._run = [(places, Part(rows)) for places, rows in parts], run
        self._logits: npt.NDArray[np.float32] | None = None

    @property
    def logits(self) -> npt.NDArray[np.float32]:
        """See Sequences: [sequences, vocabulary]."""
        if self._logits is None:
            self._run([part.prefill for _, part in self._parts])
            self._logits = self._collected()
        return self._logits

    def apart(self) -> "Sequence[tuple[Sequence[int], MixedBatch | Part]]":
        """See Sequences: part by part where they run side by side."""
        if self._run is run_in_turn and len(self._parts) > 1:
            return [(range(sum(len(places) for places, _ in self._parts)), self)]
        return self._parts

    def decode(self, tokens: Sequence[int | None]) -> None:
        """See Sequences. Rows that are all over do not run."""
        self._run([partial(part.decode, own) for part, own in self._going(tokens)])
        self._logits = self._collected()

    def _going(self, tokens: Sequence[int | None]) -> Iterator[tuple[Part, list[int | None]]]:
        for places, part in self._parts:
            own = [tokens[place] for place in places]
            if any(token is not None for token in own):
                yield part, own

    def _collected(self) -> npt.NDArray[np.float32]:
        logits = np.concatenate([part.logits for _, part in self._parts])
        order = np.concatenate([np.asarray(places) for places, _ in self._parts])
        return logits[np.argsort(order)]
