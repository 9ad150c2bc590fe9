"""Prompts that are being read, a chunk at a time."""

from collections.abc import Sequence

from runtime.engines.protocol import Engine, Sequences
from runtime.serving.batching.answering.log_probabilities import Texts
from runtime.serving.batching.batch import Batch, Clock, EngineCall
from runtime.serving.batching.entry import READING, Entry
from runtime.serving.batching.times import StageSums


class Reading:
    """Several prompts only where all of them fit into one chunk."""

    def __init__(self, engine: Engine, entries: Sequence[Entry], *, texts: Texts, clock: Clock) -> None:
        """Nothing is read yet."""
        self.entries, self._engine, self._texts, self._clock = tuple(entries), engine, texts, clock
        self._stages, self._read_s, self._read_tokens = StageSums(), 0.0, 0
        self._lengths = [entry.unread for entry in entries]
        self._sequences: Sequences | None = None
        for entry in entries:
            entry.state = READING
            entry.times.begin(clock())

    @property
    def unread(self) -> int:
        """The most tokens that any of the prompts has left."""
        return max(entry.unread for entry in self.entries)

    @property
    def urgency(self) -> float:
        """That of the most urgent one."""
        return min(entry.urgency for entry in self.entries)

    def read(self, tokens: int) -> Batch | None:
        """Read a chunk of at most so many tokens of each prompt. After the last one, the batch with its first tokens
        chosen. Raises EngineFault."""
        began = self._clock()
        with EngineCall():
            if self._sequences is None:
                self._sequences = self._prefill()
            done = self._sequences.read(tokens)
            self._count(tokens, self._sequences.reused)
        self._read_s += self._clock() - began
        return self._begun(self._sequences) if done else None

    def _count(self, tokens: int, reused: Sequence[int]) -> None:
        """Note that so many tokens were read, behind those that need not be."""
        self._read_tokens += tokens
        for entry, known, length in zip(self.entries, reused, self._lengths, strict=True):
            entry.reused_tokens = known
            entry.unread = max(0, length - known - self._read_tokens)

    def _prefill(self) -> Sequences:
        prompts = [entry.whole_prompt() for entry in self.entries]
        longest = max(entry.room for entry in self.entries)
        return self._engine.prefill(prompts, max_new_tokens=longest, clock=self._stages)

    def _begun(self, sequences: Sequences) -> Batch:
        batch = Batch(sequences, self.entries, texts=self._texts, clock=self._clock)
        began = self._clock()
        batch.sample()
        now, seconds = self._clock(), self._stages.split(self._read_s)
        for entry in self.entries:
            entry.times.sampled(now - began)
            entry.times.read(seconds, now)
        return batch
