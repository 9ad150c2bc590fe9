"""One visit of a cell: an answer of a few tokens by an engine, each stage timed where it happens."""

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import pairwise

import numpy as np
from PIL import Image

from profiles.latency.bench.grid import Cell, Size
from profiles.latency.bench.samples import Visit
from runtime.documents.graph_contract import IMAGE_INPUT_IDX, INPUT_IDS
from runtime.engines.prompts import PromptReader, Question
from runtime.engines.protocol import Engine, Prompt
from runtime.engines.stages import IMAGE, SAMPLING
from runtime.latency.workload import Workload

WINDOW, WINDOWS = 8, 2  # decoded tokens of which the median counts as one time, and how many such
COLD = 8  # tokens before them that are not kept: the prompt has driven what decoding reads from the processor's caches
STEPS = COLD + WINDOW * WINDOWS + 1  # tokens that a sequence may become longer
TEXT = "?"


class StageTimes:
    """Milliseconds by stage, of parts that run side by side too: while several stages run, each has its share of the
    time, so that all together are the time that passed. See StageClock."""

    def __init__(self) -> None:
        """Nothing is timed yet."""
        self._spans: list[tuple[str, float, float]] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block."""
        began = time.perf_counter()
        yield
        self._spans.append((name, began, time.perf_counter()))

    @property
    def ms(self) -> dict[str, float]:
        """What each stage took, in all."""
        found = {name: 0.0 for name, _, _ in self._spans}
        moments = sorted({moment for _, *ends in self._spans for moment in ends})
        for begin, end in pairwise(moments):
            running = [name for name, first, last in self._spans if first <= begin and end <= last]
            for name in running:
                found[name] += 1e3 * (end - begin) / len(running)
        return found


class CellRunner:
    """Makes visits by one engine. Prompts are of random ordinary tokens, so that tokens go to experts as different
    texts would send them, and an image of random pixels; the same for every visit of a cell."""

    def __init__(self, engine: Engine, reader: PromptReader, *, after_s: float = 0.0) -> None:
        """`reader` is that of any variant: they all have the same tokenizer and processor. Seconds are counted on from
        `after_s`."""
        self._engine, self._reader, self._began = engine, reader, time.monotonic() - after_s

    def __call__(self, cell: Cell) -> Visit:
        """Run the cell once. Raises what the engine raises."""
        clock = StageTimes()
        prompts = self._prompts(cell, clock)
        sequences = self._engine.prefill(prompts, max_new_tokens=STEPS, clock=clock)
        logits = sequences.logits  # which runs the prompts
        with clock.stage(SAMPLING):
            tokens = logits.argmax(axis=-1)
        steps = []
        for _ in range(STEPS - 1):
            began = time.perf_counter()
            sequences.decode([int(token) for token in tokens])
            steps.append(1e3 * (time.perf_counter() - began))
            tokens = sequences.logits.argmax(axis=-1)
        load = workload_of(prompts)
        return Visit(
            cell=cell.name,
            second=time.monotonic() - self._began,
            vision_tokens=load.vision_tokens,
            text_tokens=load.text_tokens,
            stages=clock.ms,
            decoded=windows(load.prompt_tokens + COLD, steps[COLD:]),
        )

    def workload(self, cell: Cell) -> Workload:
        """The sizes of a cell's prompts."""
        return workload_of(self._prompts(cell, StageTimes()))

    def _prompts(self, cell: Cell, clock: StageTimes) -> list[Prompt]:
        rng = random.Random(cell.load)
        image = None if cell.image is None else noise_image(cell.image, rng)
        ordinary = self._ordinary
        extra = [[rng.choice(ordinary) for _ in range(cell.text_tokens)] for _ in range(cell.batch)]
        if image is None:
            return [text_prompt(cell.variant, ids) for ids in extra]
        with clock.stage(IMAGE):
            read = self._reader.read([Question(text=TEXT, image=image)] * cell.batch, variant=cell.variant)
        return [longer(prompt, ids) for prompt, ids in zip(read, extra, strict=True)]

    @cached_property
    def _ordinary(self) -> Sequence[int]:
        return self._reader.ordinary_tokens


def windows(length: int, steps: list[float]) -> tuple[tuple[float, float], ...]:
    """The median of each window of steps with the mean of its positions, the first step's being `length`."""
    starts = range(0, len(steps), WINDOW)
    return tuple(
        (length + start + (WINDOW - 1) / 2, float(np.median(steps[start : start + WINDOW]))) for start in starts
    )


def noise_image(size: Size, rng: random.Random) -> Image.Image:
    """An RGB image of random pixels."""
    return Image.frombytes("RGB", size, rng.randbytes(3 * size[0] * size[1]))


def text_prompt(variant: str, ids: list[int]) -> Prompt:
    """A prompt without an image."""
    return Prompt(variant=variant, arrays={INPUT_IDS: np.asarray(ids, np.int64)})


def longer(prompt: Prompt, ids: list[int]) -> Prompt:
    """The prompt with tokens behind it."""
    joined = np.concatenate([prompt.arrays[INPUT_IDS], np.asarray(ids, np.int64)])
    return Prompt(variant=prompt.variant, arrays={**prompt.arrays, INPUT_IDS: joined})


def workload_of(prompts: Sequence[Prompt]) -> Workload:
    """The sizes of prompts of one length: tokens that carry image features, and all others."""
    arrays = prompts[0].arrays
    vision = int((arrays[IMAGE_INPUT_IDX] >= 0).sum()) if IMAGE_INPUT_IDX in arrays else 0
    return Workload(batch=len(prompts), vision_tokens=vision, text_tokens=len(arrays[INPUT_IDS]) - vision)
