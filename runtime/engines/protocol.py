"""What serving, evaluation and benchmarks ask of an engine: sequences continued, each by the variant that it names."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """A sequence to continue, and the id of the variant that continues it.

    `arrays` are without padding: `input_ids` [tokens]; with an image also `images` [crops, patches, 3·patch²],
    `image_masks` [crops, patches] and `image_input_idx` [crops, image tokens], which count from the first token.
    """

    variant: str
    arrays: Mapping[str, Array]


class StageClock(Protocol):
    """Told when a stage of reading prompts begins and ends (runtime/latency/terms.py has their names)."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Entered where the stage begins, left when its results are there, on an accelerator too."""

    def span(self, name: str, began: float, ended: float) -> None:
        """A stage that the device timed itself, in seconds as `time.perf_counter` counts them."""


class NoClock:
    """Does not look."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """See StageClock."""
        return nullcontext()

    def span(self, name: str, began: float, ended: float) -> None:
        """See StageClock."""


NO_CLOCK = NoClock()


class Sequences(Protocol):
    """Sequences in progress; the engine keeps their keys and values as long as this object lives."""

    @property
    def logits(self) -> npt.NDArray[np.float32]:
        """What may follow each sequence: [sequences, vocabulary], in the order of the prompts, which may run only when
        this is first asked for."""

    @property
    def reused(self) -> Sequence[int]:
        """How many tokens at the beginning of each prompt need not be read, because the engine has kept what another
        prompt left of them; known once reading has begun."""

    def decode(self, tokens: Sequence[int | None]) -> None:
        """Append a token to each sequence and renew `logits`; a sequence given None is over: its logits mean nothing
        and it takes no further token."""

    def read(self, tokens: int) -> bool:
        """Run at most so many further tokens of each prompt; whether all prompts are read to their end. `logits` reads
        what is left."""

    def join(self, others: "Sequences") -> None:
        """Take over the sequences of another batch of the same engine, behind the own ones; prompts of both are read.
        `others` is not used any more."""

    def keep(self, places: Sequence[int]) -> None:
        """Drop all sequences but those at `places`, which then stand in that order; perhaps none."""

    def apart(self) -> "Sequence[tuple[Sequence[int], Sequences]]":
        """The same sequences in parts that need not wait for each other, each with its places among them; threads may
        go on with each part at the same time, its prompts included, instead of with the whole. There is one part where
        anything has run already."""


class Engine(Protocol):
    """The variants of one family on one device, over one copy of their weights."""

    @property
    def software(self) -> Mapping[str, str]:
        """Names and versions of what the answers may depend on."""

    @property
    def shares_weights(self) -> bool:
        """Whether variants that are loaded together hold what they have in common once."""

    def load(self, variant: str) -> str:
        """Load a variant and compare it with its golden outputs, once; returns the data type of its weights, e.g.
        `float32`. Raises DocumentError for an unknown variant, VerificationError for one that answers otherwise."""

    def prefill(self, prompts: Sequence[Prompt], *, max_new_tokens: int, clock: StageClock = NO_CLOCK) -> Sequences:
        """Read prompts of any variants, which are loaded where they are not; each may become `max_new_tokens` longer.
        `clock` is told of the stages; those of parts that run side by side overlap.
        Raises as `load` does."""

    def unload(self, variant: str) -> None:
        """Free what no other loaded variant needs."""

    def close(self) -> None:
        """Free everything."""
