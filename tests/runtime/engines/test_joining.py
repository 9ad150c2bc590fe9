"""Sequences that are read in parts, join others and leave them, against each of them alone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from runtime.engines.onnx import rows
from runtime.engines.protocol import Engine, Prompt, Sequences
from tests.support.engine_families import VARIANTS, export_engine_family, open_engine, random_prompt

ENGINES = ("torch", "onnx", "onnx in parts")
NEW_TOKENS = 12
SHARED = 20  # tokens that half of the prompts begin with

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module", params=["olmoe", "molmoe"])
def family(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A family of text, and one of images."""
    return request.param, export_engine_family(request.param, tmp_path_factory.mktemp(request.param))


@dataclass
class Alone:
    """The logits of sequences that run one by one, each step computed once."""

    engine: Engine

    def check(self, prompt: Prompt, tokens: list[int], logits: np.ndarray) -> None:
        """Compare with the prompt and the tokens behind it, as one prompt."""
        ids = np.concatenate([prompt.arrays["input_ids"], np.asarray(tokens, np.int64)])
        whole = Prompt(variant=prompt.variant, arrays={**prompt.arrays, "input_ids": ids})
        expected = self.engine.prefill([whole], max_new_tokens=1).logits[0]
        np.testing.assert_allclose(logits, expected, rtol=0, atol=3e-5 * np.abs(expected).max())


@dataclass
class Program:
    """Random calls; what was fed to each sequence is remembered beside it."""

    engine: Engine
    alone: Alone
    images: bool
    rng: np.random.Generator
    shared: np.ndarray
    batch: Sequences | None = None
    rows: list[tuple[Prompt, list[int]]] = field(default_factory=list)

    def prompts(self, count: int) -> list[Prompt]:
        found = []
        for _ in range(count):
            crops = int(self.rng.integers(0, 3)) if self.images else 0
            tokens = int(self.rng.integers(3 + 8 * crops, 30 + 8 * crops))
            prompt = random_prompt(self.rng, tokens=tokens, crops=crops, variant=str(self.rng.choice(VARIANTS[1:])))
            if self.rng.random() < 0.5:
                ids = np.concatenate([self.shared, prompt.arrays["input_ids"]])
                prompt = Prompt(variant=prompt.variant, arrays={**prompt.arrays, "input_ids": ids})
            found.append(prompt)
        return found

    def arrive(self) -> None:
        """Prompts come, perhaps read in parts, and join those that are there."""
        new = self.prompts(int(self.rng.integers(1, 4)))
        batch = self.engine.prefill(new, max_new_tokens=NEW_TOKENS)
        if self.rng.random() < 0.7:
            while not batch.read(int(self.rng.integers(1, 12))):
                pass
        if self.batch is None:
            self.batch = batch
        else:
            self.batch.join(batch)
        self.rows += [(prompt, []) for prompt in new]

    def decode(self) -> None:
        """Each sequence goes on by a token; those that have no room left leave."""
        assert self.batch is not None
        self.keep([place for place, (_, fed) in enumerate(self.rows) if len(fed) < NEW_TOKENS])
        tokens = self.rng.integers(2, 100, len(self.rows)).tolist()
        if tokens:
            self.batch.decode(tokens)
        for (_, fed), token in zip(self.rows, tokens, strict=True):
            fed.append(token)

    def leave(self) -> None:
        """Some sequences go, perhaps all; the others in another order."""
        self.keep(self.rng.permutation(len(self.rows))[: int(self.rng.integers(0, len(self.rows) + 1))].tolist())

    def keep(self, places: list[int]) -> None:
        assert self.batch is not None
        self.batch.keep(places)
        self.rows = [self.rows[place] for place in places]

    def check(self) -> None:
        """The logits of some sequences are those that each has alone."""
        assert self.batch is not None and len(self.batch.logits) == len(self.rows)
        for place in self.rng.permutation(len(self.rows))[:2].tolist():
            self.alone.check(*self.rows[place], self.batch.logits[place])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", [*ENGINES, "onnx with prefixes"])
def test_sequences_answer_in_any_company_as_alone(
    name: str, seed: int, family: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    case, folder = family
    monkeypatch.setattr(rows, "LEAST_ROWS", 2)  # so that few rows are cut too
    rng = np.random.default_rng(seed)
    engine = open_engine(name, folder, **({"prefix_bytes": 1 << 20} if "prefixes" in name else {}))
    plain = open_engine("torch" if name == "torch" else "onnx", folder)
    program = Program(engine, Alone(plain), case == "molmoe", rng, rng.integers(2, 100, SHARED))
    program.arrive()
    for _ in range(12):
        (program.arrive, program.decode, program.decode, program.leave)[int(rng.integers(0, 4))]()
        program.check()
    engine.close()
    plain.close()


@pytest.mark.parametrize("name", ["onnx", "onnx in parts"])
def test_what_another_prompt_left_is_not_read_again(name: str, family: tuple[str, Path]) -> None:
    case, folder = family
    rng, engine = np.random.default_rng(0), open_engine(name, folder, prefix_bytes=1 << 20)
    first = random_prompt(rng, tokens=40, crops=2 if case == "molmoe" else 0)
    clock = Recorder()
    assert engine.prefill([first], max_new_tokens=1).read(100)
    ids = np.concatenate([first.arrays["input_ids"][:30], rng.integers(2, 100, 9)])
    other = Prompt(variant=first.variant, arrays={**first.arrays, "input_ids": ids})
    batch = engine.prefill([other, first], max_new_tokens=2, clock=clock)
    plain = open_engine(name, folder)
    alone = plain.prefill([other, first], max_new_tokens=2)
    for tokens in ([5, 6], [7, 8]):
        np.testing.assert_allclose(batch.logits, alone.logits, rtol=0, atol=3e-5 * np.abs(alone.logits).max())
        batch.decode(tokens)
        alone.decode(tokens)
    assert list(batch.reused) == [30, 39] and list(alone.reused) == [0, 0]
    assert "vision" not in clock.told and clock.told.count("prefill") == 2
    engine.unload(first.variant)
    again = engine.prefill([first], max_new_tokens=1)
    assert len(again.logits) == 1 and list(again.reused) == [0]
    engine.close()
    plain.close()


class Recorder:
    """A clock that notes which stages begin."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.told.append(name)
        yield


@pytest.mark.parametrize(
    ("name", "stages"),
    [("torch", ["prefill", "vision"]), ("onnx", ["vision", "embeddings"])],
)
def test_images_are_seen_once_however_prompts_are_cut(name: str, stages: list[str], family: tuple[str, Path]) -> None:
    case, folder = family
    if case != "molmoe":
        stages = stages[:1] if name == "torch" else stages[1:]
    rng, engine, clock = np.random.default_rng(0), open_engine(name, folder), Recorder()
    crops = 2 if case == "molmoe" else 0
    batch = engine.prefill(
        [random_prompt(rng, tokens=30, crops=crops), random_prompt(rng, tokens=21)], max_new_tokens=1, clock=clock
    )
    assert [batch.read(11), batch.read(11), batch.read(11)] == [False, False, True]
    assert clock.told[: len(stages)] == stages and clock.told.count("prefill") >= 3
    assert clock.told.count("vision") == (case == "molmoe")
    engine.close()


@pytest.mark.parametrize("name", ["torch", "onnx"])
def test_others_decode_while_a_variant_loads(name: str, family: tuple[str, Path]) -> None:
    engine, rng = open_engine(name, family[1]), np.random.default_rng(0)
    loading, loaded = Event(), Event()
    real = engine._load if name == "torch" else engine._opened

    def slow(variant: str) -> Any:
        loading.set()
        assert loaded.wait(20)
        return real(variant)

    batch = engine.prefill([random_prompt(rng, tokens=9)], max_new_tokens=4)
    assert len(batch.logits) == 1
    setattr(engine, "_load" if name == "torch" else "_opened", slow)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(engine.load, VARIANTS[2]) for _ in range(2)]
        assert loading.wait(20)
        batch.decode([5])
        batch.join(engine.prefill([random_prompt(rng, tokens=9)], max_new_tokens=4))
        batch.decode([5, 6])
        assert np.isfinite(batch.logits).all()
        loaded.set()
        assert [one.result() for one in both] == ["float32"] * 2
    engine.close()
