"""An engine with something around each of its calls: to note what ran when, or to let it fail."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

import numpy as np
import numpy.typing as npt

from runtime.engines.protocol import NO_CLOCK, Engine, Prompt, Sequences, StageClock

READ, DECODE = "read", "decode"
Around = Callable[[str, tuple[Prompt, ...]], AbstractContextManager[None]]
"""Entered before a chunk (READ) or a step (DECODE) of these prompts, left after it."""


class EngineWithCalls:
    """Runs everything on `engine`."""

    def __init__(self, engine: Engine, around: Around) -> None:
        """`around` is entered for each call that runs a variant."""
        self._engine, self._around = engine, around

    @property
    def software(self) -> Mapping[str, str]:
        """See Engine."""
        return self._engine.software

    @property
    def shares_weights(self) -> bool:
        """See Engine."""
        return self._engine.shares_weights

    def load(self, variant: str) -> str:
        """See Engine."""
        return self._engine.load(variant)

    def prefill(
        self, prompts: Sequence[Prompt], *, max_new_tokens: int, clock: StageClock = NO_CLOCK
    ) -> "SequencesWithCalls":
        """See Engine."""
        found = self._engine.prefill(prompts, max_new_tokens=max_new_tokens, clock=clock)
        return SequencesWithCalls(found, tuple(prompts), self._around)

    def unload(self, variant: str) -> None:
        """See Engine."""
        self._engine.unload(variant)

    def close(self) -> None:
        """See Engine."""
        self._engine.close()


class SequencesWithCalls:
    """See Sequences."""

    def __init__(self, sequences: Sequences, prompts: tuple[Prompt, ...], around: Around) -> None:
        """See EngineWithCalls."""
        self._sequences, self._prompts, self._around = sequences, prompts, around

    @property
    def logits(self) -> npt.NDArray[np.float32]:
        """See Sequences."""
        return self._sequences.logits

    @property
    def reused(self) -> Sequence[int]:
        """See Sequences."""
        return self._sequences.reused

    def decode(self, tokens: Sequence[int | None]) -> None:
        """See Sequences."""
        with self._around(DECODE, self._prompts):
            self._sequences.decode(tokens)

    def read(self, tokens: int) -> bool:
        """See Sequences."""
        with self._around(READ, self._prompts):
            return self._sequences.read(tokens)

    def join(self, others: Sequences) -> None:
        """See Sequences."""
        assert isinstance(others, SequencesWithCalls)
        self._sequences.join(others._sequences)
        self._prompts += others._prompts

    def keep(self, places: Sequence[int]) -> None:
        """See Sequences."""
        self._sequences.keep(places)
        self._prompts = tuple(self._prompts[place] for place in places)

    def apart(self) -> "Sequence[tuple[Sequence[int], Sequences]]":
        """See Sequences: nothing is parted, so that all calls are seen."""
        return [(range(len(self._prompts)), self)]
