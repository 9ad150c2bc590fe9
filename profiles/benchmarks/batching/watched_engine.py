"""An engine whose calls are noted, with the time that each took: what newcomers had to wait for."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runtime.engines.protocol import NO_CLOCK, Engine, Prompt, Sequences, StageClock

READ, DECODE = "read", "decode"


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A chunk or a step: seconds of time.monotonic at which it began and ended, and whose prompts took part."""

    kind: str
    began: float
    ended: float
    prompts: tuple[Prompt, ...]

    def took_part(self, prompt: Prompt) -> bool:
        """Whether it was for that prompt."""
        return any(one is prompt for one in self.prompts)


class WatchedEngine:
    """Runs everything on `engine`; `calls` in their order."""

    def __init__(self, engine: Engine) -> None:
        """Nothing is noted yet."""
        self._engine, self.calls = engine, list[Call]()

    @property
    def software(self) -> Mapping[str, str]:
        """See Engine."""
        return self._engine.software

    def load(self, variant: str) -> str:
        """See Engine."""
        return self._engine.load(variant)

    def prefill(
        self, prompts: Sequence[Prompt], *, max_new_tokens: int, clock: StageClock = NO_CLOCK
    ) -> "WatchedSequences":
        """See Engine."""
        found = self._engine.prefill(prompts, max_new_tokens=max_new_tokens, clock=clock)
        return WatchedSequences(found, tuple(prompts), self.calls)

    def unload(self, variant: str) -> None:
        """See Engine."""
        self._engine.unload(variant)

    def close(self) -> None:
        """See Engine."""
        self._engine.close()


class WatchedSequences:
    """See Sequences."""

    def __init__(self, sequences: Sequences, prompts: tuple[Prompt, ...], calls: list[Call]) -> None:
        """Calls are added to `calls`."""
        self._sequences, self._prompts, self._calls = sequences, prompts, calls

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
        with self._noted(DECODE):
            self._sequences.decode(tokens)

    def read(self, tokens: int) -> bool:
        """See Sequences."""
        with self._noted(READ):
            return self._sequences.read(tokens)

    def join(self, others: Sequences) -> None:
        """See Sequences."""
        assert isinstance(others, WatchedSequences)
        self._sequences.join(others._sequences)
        self._prompts += others._prompts

    def keep(self, places: Sequence[int]) -> None:
        """See Sequences."""
        self._sequences.keep(places)
        self._prompts = tuple(self._prompts[place] for place in places)

    def apart(self) -> "Sequence[tuple[Sequence[int], Sequences]]":
        """See Sequences: nothing is parted, so that all calls are seen."""
        return [(range(len(self._prompts)), self)]

    @contextmanager
    def _noted(self, kind: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._calls.append(Call(kind=kind, began=began, ended=time.monotonic(), prompts=self._prompts))
