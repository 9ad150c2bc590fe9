"""What stands around an engine's calls sees each of them, and changes no answer; it may let them fail."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from profiles.benchmarks.engine_calls import DECODE, READ, EngineWithCalls
from profiles.benchmarks.soak import failing_engine
from profiles.benchmarks.soak.failing_engine import failing
from runtime.engines.greedy import generate
from runtime.engines.protocol import Prompt
from runtime.errors import EngineError
from runtime.serving.batching.limits import Limits
from tests.support.toy_language import VARIANTS, ToyEngine, prompt
from tests.support.turns import Driven, heard


def test_every_chunk_and_every_step_is_seen_with_its_prompts() -> None:
    seen: list[tuple[str, int]] = []

    @contextmanager
    def around(kind: str, prompts: tuple[Prompt, ...]) -> Iterator[None]:
        seen.append((kind, len(prompts)))
        yield

    engine = EngineWithCalls(ToyEngine(), around)
    sequences = engine.prefill([prompt(20), prompt(5, VARIANTS[1])], max_new_tokens=9)
    assert not sequences.read(16) and sequences.read(16)
    sequences.decode([1, 2])
    other = engine.prefill([prompt(3)], max_new_tokens=9)
    other.read(16)
    sequences.join(other)
    sequences.decode([1, 2, 3])
    sequences.keep([2])
    sequences.decode([1])
    assert seen == [(READ, 2), (READ, 2), (DECODE, 2), (READ, 1), (DECODE, 3), (DECODE, 1)]


def test_an_engine_that_fails_now_and_then_costs_no_answer_of_those_it_does_not_concern(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(failing_engine, "EVERY", 7)
    driven = Driven(Limits(max_rows=4))
    driven.turns._engine = failing(driven.engine)
    entries = [driven.ask(tokens, tokens=6) for tokens in range(3, 23)]
    driven.run()
    errors = [heard(one).error for one in entries if heard(one).error is not None]
    assert errors and all(isinstance(one, EngineError) and "made to fail" in str(one) for one in errors)
    answered = [one for one in entries if heard(one).error is None]
    assert len(answered) > len(entries) / 2
    for one in answered:
        assert heard(one).tokens == generate(ToyEngine(), [one.prompt], max_new_tokens=6, ends=frozenset())[0]
