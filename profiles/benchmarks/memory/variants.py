"""Memory of all variants of a family that an engine holds, over that of one, in a process of its own."""

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from profiles.benchmarks.batching.requests import random_prompt
from profiles.benchmarks.memory.process import numbers_of, pss_bytes
from runtime.documents.baseline import ONNX
from runtime.documents.manifest import Manifest, read_manifest
from runtime.engines.open import open_engine
from runtime.engines.protocol import Engine, Prompt
from runtime.engines.settings import EngineSettings

LONG_TOKENS, LONG_PROMPTS, SHORT_TOKENS, NEW_TOKENS = 512, 6, 16, 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Resident:
    """By how many bytes a process grew with one variant, and with all of them; `form` is an engine, for ONNX with the
    type of weights."""

    form: str
    variants: int
    one_bytes: int
    all_bytes: int

    @property
    def ratio(self) -> float:
        """All over one."""
        return self.all_bytes / self.one_bytes


def resident(family: Path, engine: str, *, dtype: str, threads: int, tokens: int = LONG_TOKENS) -> Resident:
    """What a fresh process needs more when it holds all variants instead of the largest one alone.

    That one first answers prompts of so many random tokens that hardly an expert stays unread; each of the others
    answers a short one. Raises CalledProcessError when the process fails.
    """
    one, every, count = numbers_of(__name__, [str(family), engine, dtype, str(threads), str(tokens)])
    form = f"{engine} {dtype}" if engine == ONNX else engine
    return Resident(form=form, variants=count, one_bytes=one, all_bytes=every)


def print_growth(arguments: Sequence[str]) -> None:
    """What the process of its own does."""
    family, name, dtype, threads, tokens = arguments
    logging.disable()  # families without golden outputs say so once a variant
    manifest = read_manifest(Path(family))
    engine = open_engine(name, Path(family), manifest, EngineSettings(dtype=dtype, threads=int(threads)))
    before = pss_bytes()  # the engine's own code does not count
    one, every = grown(engine, manifest, int(tokens), lambda: pss_bytes() - before)
    sys.stdout.write(f"{one} {every} {len(manifest.variants)}")


def grown(engine: Engine, manifest: Manifest, tokens: int, growth: Callable[[], int]) -> tuple[int, int]:
    """What `growth` says when the largest variant has answered prompts of so many `tokens`, and when
    all have."""
    largest, *others = sorted(manifest.variants, key=lambda one: (-len(one.layers), [-k for k in one.top_k or ()]))
    for seed in range(LONG_PROMPTS):
        _answer(engine, random_prompt(largest.id, tokens, seed=seed))
    one = growth()
    for variant in others:
        _answer(engine, random_prompt(variant.id, SHORT_TOKENS, seed=0))
    return one, growth()


def _answer(engine: Engine, prompt: Prompt) -> None:
    sequences = engine.prefill([prompt], max_new_tokens=NEW_TOKENS)
    for _ in range(NEW_TOKENS - 1):
        sequences.decode([int(sequences.logits[0].argmax())])
