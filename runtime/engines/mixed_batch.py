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


class MixedBatch:
    """See Sequences in runtime/engines/protocol.py. `parts` are rows with their places among the prompts; `run` runs
    what is to be done for several of them."""

    def __init__(self, parts: Sequence[tuple[Sequence[int], Rows]], run: Run = run_in_turn) -> None:
        """Run the prompts."""
        self._parts, self._run = parts, run
        run([rows.prefill for _, rows in parts])
        self._logits = self._collected()

    @property
    def logits(self) -> npt.NDArray[np.float32]:
        """See Sequences: [sequences, vocabulary]."""
        return self._logits

    def decode(self, tokens: Sequence[int | None]) -> None:
        """See Sequences. Rows that are all over do not run."""
        self._run([partial(rows.decode, own) for rows, own in self._going(tokens)])
        self._logits = self._collected()

    def _going(self, tokens: Sequence[int | None]) -> Iterator[tuple[Rows, list[int | None]]]:
        for places, rows in self._parts:
            own = [tokens[place] for place in places]
            if any(token is not None for token in own):
                yield rows, own

    def _collected(self) -> npt.NDArray[np.float32]:
        logits = np.concatenate([rows.logits for _, rows in self._parts])
        order = np.concatenate([np.asarray(places) for places, _ in self._parts])
        return logits[np.argsort(order)]
