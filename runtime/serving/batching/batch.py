"""Sequences that the engine continues together, and whose answers they are."""

from collections.abc import Callable, Sequence

from runtime.engines.protocol import Sequences
from runtime.errors import EngineError, TrimoeError, VerificationError
from runtime.serving.batching.answering.log_probabilities import Texts
from runtime.serving.batching.answering.sampler import NOT_FINITE, Sampler
from runtime.serving.batching.entry import Entry

Clock = Callable[[], float]


class EngineFault(Exception):
    """The engine raised. What it was doing cannot go on; `error` is for those whom it concerned."""

    def __init__(self, raised: Exception) -> None:
        """What trimoe did not raise itself becomes an EngineError."""
        super().__init__(str(raised))
        self.error = raised
        if not isinstance(raised, TrimoeError):
            self.error = EngineError(f"the engine failed: {type(raised).__name__}: {raised}")
            self.error.__cause__ = raised


class EngineCall:
    """As a context: whatever the engine raises becomes an EngineFault, so that it is told from faults of the
    scheduler. A class, since it is entered twice a token, and one that is made of a generator takes three times as
    long."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception):
            raise EngineFault(error) from error


class Batch:
    """`entries` in the order of the sequences. The tokens that were chosen last are fed in the next step."""

    def __init__(self, sequences: Sequences, entries: Sequence[Entry], *, texts: Texts, clock: Clock) -> None:
        """The prompts of `sequences` are read."""
        self._sequences, self.entries, self._texts, self._clock = sequences, list(entries), texts, clock
        self._tokens: list[int] = []
        self._arrange()

    def step(self) -> None:
        """Continue all by a token. Raises EngineFault."""
        began = self._clock()
        with EngineCall():
            self._sequences.decode(self._tokens)
        self.sample()
        took = self._clock() - began
        for entry in self.entries:
            entry.times.decoded(took)

    def sample(self) -> None:
        """Choose the token that follows each sequence. Raises EngineFault."""
        with EngineCall():
            logits = self._sequences.logits
        self._tokens = self._sampler.choose(logits)
        for place, (entry, token) in enumerate(zip(self.entries, self._tokens, strict=True)):
            if token == NOT_FINITE:
                entry.error = VerificationError(f"{entry.prompt.variant}: the engine's logits are not finite numbers")
            else:
                entry.add(token, logits[place], self._texts)

    @property
    def ending(self) -> bool:
        """Whether any is over."""
        return any(entry.over for entry in self.entries)

    def leave(self) -> list[Entry]:
        """Drop those that are over and return them. Raises EngineFault; then nothing is dropped."""
        if not self.ending:
            return []
        staying = [place for place, entry in enumerate(self.entries) if not entry.over]
        if staying:
            with EngineCall():
                self._sequences.keep(staying)
        left = [entry for entry in self.entries if entry.over]
        self.entries = [self.entries[place] for place in staying]
        self._tokens = [self._tokens[place] for place in staying]
        self._arrange()
        return left

    def join(self, other: "Batch") -> None:
        """Take over another batch, which is not used any more. Raises EngineFault."""
        with EngineCall():
            self._sequences.join(other._sequences)
        self.entries += other.entries
        self._tokens += other._tokens
        self._arrange()

    def _arrange(self) -> None:
        self._sampler = Sampler([entry.draw for entry in self.entries])
