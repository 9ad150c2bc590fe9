"""Greedy generation, on an engine whose every next token is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from runtime.engines.greedy import generate
from runtime.engines.protocol import Prompt

VOCABULARY = 10


@dataclass
class Counting:
    """Sequences that count on from their last token."""

    last: list[int]
    fed: list[list[int | None]] = field(default_factory=list)

    @property
    def logits(self) -> np.ndarray:
        return np.eye(VOCABULARY, dtype=np.float32)[[(token + 1) % VOCABULARY for token in self.last]]

    def decode(self, tokens: Sequence[int | None]) -> None:
        self.fed.append(list(tokens))
        self.last = [old if new is None else new for old, new in zip(self.last, tokens, strict=True)]


class CountingEngine:
    """Remembers its last sequences."""

    software: Mapping[str, str] = {}

    def load(self, variant: str) -> str:
        return "float32"

    def prefill(self, prompts: Sequence[Prompt], *, max_new_tokens: int) -> Counting:
        self.sequences = Counting([int(prompt.arrays["input_ids"][-1]) for prompt in prompts])
        return self.sequences

    def unload(self, variant: str) -> None: ...

    def close(self) -> None: ...


def prompts(*last: int) -> list[Prompt]:
    return [Prompt(variant="b1", arrays={"input_ids": np.asarray([token])}) for token in last]


def test_each_sequence_ends_with_its_end_token_or_where_there_is_no_room() -> None:
    engine = CountingEngine()
    found = generate(engine, prompts(1, 4, 6), max_new_tokens=4, ends=frozenset({5, 8}))
    assert found == [[2, 3, 4, 5], [5], [7, 8]]
    assert engine.sequences.fed == [[2, None, 7], [3, None, None], [4, None, None]]


def test_nothing_is_decoded_when_the_first_tokens_end_everything_or_only_one_is_wanted() -> None:
    engine = CountingEngine()
    assert generate(engine, prompts(4, 7), max_new_tokens=9, ends=frozenset({5, 8})) == [[5], [8]]
    assert engine.sequences.fed == []
    assert generate(engine, prompts(1), max_new_tokens=1, ends=frozenset()) == [[2]]
    assert engine.sequences.fed == []
