"""A language of letters, and an engine that continues it: deterministic, with a clock, a log of calls, and faults."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from runtime.engines.protocol import NO_CLOCK, Prompt, StageClock
from runtime.engines.stages import EMBEDDINGS
from runtime.errors import DocumentError

END, OPEN, CLOSE = 0, 1, 2  # ends an answer; the two bytes of é
LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = 3 + len(LETTERS)
VARIANTS = ("b4-k4", "b4-k2", "b3-k4", "b3-k2")


def tokens_of(text: str) -> list[int]:
    return [3 + LETTERS.index(letter) for letter in text]


def prompt(tokens: int | str, variant: str = VARIANTS[0]) -> Prompt:
    """A prompt of that text, or of so many tokens."""
    ids = tokens_of(tokens) if isinstance(tokens, str) else [3 + place * 7 % len(LETTERS) for place in range(tokens)]
    return Prompt(variant=variant, arrays={"input_ids": np.asarray(ids, np.int64)})


class LetterStream:
    def __init__(self) -> None:
        self._open = False

    def push(self, token: int) -> str:
        if token == OPEN:
            text, self._open = "\ufffd" if self._open else "", True
            return text
        was_open, self._open = self._open, False
        if token == CLOSE:
            return "é" if was_open else "\ufffd"
        return ("\ufffd" if was_open else "") + LETTERS[token - 3]

    def end(self) -> str:
        was_open, self._open = self._open, False
        return "\ufffd" if was_open else ""


class LetterReader:
    ends = frozenset({END})

    def text_stream(self) -> LetterStream:
        return LetterStream()

    def texts(self, rows: Sequence[Sequence[int]]) -> list[str]:
        found = []
        for row in rows:
            stream = LetterStream()
            text = "".join(stream.push(token) for token in row if token != END)
            found.append(text + stream.end())
        return found


@dataclass
class Clock:
    """Seconds that pass only when they are told to."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


Fault = Callable[[str, Sequence[Prompt]], None]  # raises where the engine is to fail in a call with these prompts


@dataclass
class ToyEngine:
    """What follows depends on the variant and all tokens before. `calls` has (what, detail); reading a token takes
    `read_s`, a step `step_s` of the clock. `script` has answers by prompt, in place of its own."""

    clock: Clock = field(default_factory=Clock)
    read_s: float = 0.001
    step_s: float = 0.01
    fault: Fault = lambda what, prompts: None
    kept: Callable[[Prompt], int] = lambda prompt: 0  # tokens of a prompt that need not be read
    loading: Callable[[str], None] = lambda variant: None
    script: Mapping[tuple[int, ...], Sequence[int]] = field(default_factory=dict)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    software: Mapping[str, str] = field(default_factory=dict)

    @property
    def shares_weights(self) -> bool:
        return True

    def load(self, variant: str) -> str:
        if variant not in VARIANTS:
            raise DocumentError(f"no variant {variant!r}")
        if variant not in self.loaded:
            self.loading(variant)
            self.loaded.append(variant)
        return "float32"

    def unload(self, variant: str) -> None:
        self.loaded.remove(variant)

    def close(self) -> None:
        self.loaded.clear()

    def prefill(
        self, prompts: Sequence[Prompt], *, max_new_tokens: int, clock: StageClock = NO_CLOCK
    ) -> "ToySequences":
        for one in prompts:
            self.load(one.variant)
        self.note("prefill", prompts, len(prompts))
        return ToySequences(self, [Row(one, max_new_tokens) for one in prompts], clock)

    def note(self, what: str, prompts: Sequence[Prompt], detail: Any) -> None:
        self.calls.append((what, detail))
        self.fault(what, prompts)

    def names(self) -> list[str]:
        """The calls without details."""
        return [what for what, _ in self.calls]

    def logits(self, variant: str, tokens: Sequence[int], prompt_length: int) -> np.ndarray:
        scripted = self.script.get(tuple(tokens[:prompt_length]))
        if scripted is not None:
            place = len(tokens) - prompt_length
            return 9 * np.eye(VOCABULARY, dtype=np.float32)[scripted[place] if place < len(scripted) else END]
        state = VARIANTS.index(variant) + 1
        for token in tokens:
            state = (state * 1_000_003 + token + 1) % 2_147_483_647
        values = np.random.default_rng(state).normal(size=VOCABULARY)
        values[END] -= 1.0
        return values.astype(np.float32)


@dataclass
class Row:
    prompt: Prompt
    room: int
    read: int = 0
    reused: int = 0
    answer: list[int] = field(default_factory=list)

    @property
    def length(self) -> int:
        return len(self.prompt.arrays["input_ids"])


class ToySequences:
    def __init__(self, engine: ToyEngine, rows: list[Row], clock: StageClock) -> None:
        self._engine, self._rows, self._clock = engine, rows, clock
        self._logits: np.ndarray | None = None

    @property
    def logits(self) -> np.ndarray:
        if any(row.read < row.length for row in self._rows):
            self.read(max(row.length for row in self._rows))
        if self._logits is None:
            self._logits = np.stack(
                [
                    self._engine.logits(
                        row.prompt.variant, [*row.prompt.arrays["input_ids"].tolist(), *row.answer], row.length
                    )
                    for row in self._rows
                ]
            )
        return self._logits

    def read(self, tokens: int) -> bool:
        self._engine.note("read", self._prompts(), tokens)
        with self._clock.stage(EMBEDDINGS) if not any(row.read for row in self._rows) else nullcontext():
            pass
        for row in self._rows:
            if row.read == 0:
                row.read = row.reused = self._engine.kept(row.prompt)
            count = min(tokens, row.length - row.read)
            row.read += count
            self._engine.clock.now += count * self._engine.read_s
        return all(row.read == row.length for row in self._rows)

    @property
    def reused(self) -> list[int]:
        return [row.reused for row in self._rows]

    def decode(self, tokens: Sequence[int | None]) -> None:
        assert len(tokens) == len(self._rows)
        self._engine.note("decode", self._prompts(), len(tokens))
        for row, token in zip(self._rows, tokens, strict=True):
            assert token is not None
            row.answer.append(token)
            assert len(row.answer) < row.room, "more tokens than were asked for"
        self._logits = None
        self._engine.clock.now += self._engine.step_s

    def join(self, others: "ToySequences") -> None:
        self._engine.note("join", [*self._prompts(), *others._prompts()], len(others._rows))
        self._rows, self._logits = [*self._rows, *others._rows], None
        del others._rows

    def keep(self, places: Sequence[int]) -> None:
        self._engine.note("keep", self._prompts(), list(places))
        self._rows, self._logits = [self._rows[place] for place in places], None

    def apart(self) -> "Sequence[tuple[Sequence[int], ToySequences]]":
        return [(range(len(self._rows)), self)]

    def _prompts(self) -> list[Prompt]:
        return [row.prompt for row in self._rows]
