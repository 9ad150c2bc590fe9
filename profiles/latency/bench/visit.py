"""One visit of a cell: an answer of a few tokens by an engine, each stage timed where it happens."""

import time
from datetime import UTC, datetime

import numpy as np

from profiles.latency.bench.grid import Cell
from profiles.latency.bench.meters import Meter
from profiles.latency.bench.prompts import PromptMaker, Reader, workload_of
from profiles.latency.bench.samples import Visit
from profiles.latency.bench.stage_times import StageTimes
from profiles.latency.bench.waiting import waited_s
from runtime.engines.protocol import Array, Engine
from runtime.engines.stages import PREFILL, SAMPLING
from runtime.latency.workload import Workload

WINDOW, WINDOWS = 8, 2  # decoded tokens of which the median counts as one time, and how many such
COLD = 8  # tokens before them that are not kept: the prompt has driven what decoding reads from the processor's caches
STEPS = COLD + WINDOW * WINDOWS + 1  # tokens that a sequence may become longer


class CellRunner:
    """Makes visits by one engine."""

    def __init__(self, engine: Engine, reader: Reader, meter: Meter, *, after_s: float = 0.0) -> None:
        """`reader` is that of any variant: they all have the same tokenizer and processor. Seconds are counted on from
        `after_s`."""
        self._engine, self._maker, self._meter = engine, PromptMaker(reader), meter
        self._began = time.monotonic() - after_s

    def __call__(self, cell: Cell) -> Visit:
        """Run the cell once. Raises what the engine raises."""
        clock, picks = StageTimes(), list[float]()
        content, following = self._maker.content(cell), self._maker.following(cell, STEPS - 1)
        self._meter.begin()
        waited, begun = waited_s(), time.perf_counter()
        prompts = self._maker.prompts(content, clock)
        with clock.around(PREFILL):
            sequences = self._engine.prefill(prompts, max_new_tokens=STEPS, clock=clock)
            logits = sequences.logits  # which runs the prompts
        picks.append(_pick(logits))
        steps = []
        for tokens in following:
            began = time.perf_counter()
            sequences.decode(tokens)
            steps.append(1e3 * (time.perf_counter() - began))
            picks.append(_pick(sequences.logits))
        share = _share(waited, waited_s(), time.perf_counter() - begun)
        reading, load = self._meter.end(), workload_of(prompts)
        return Visit(
            cell=cell.name,
            taken=datetime.now(UTC).isoformat(timespec="seconds"),
            second=time.monotonic() - self._began,
            vision_tokens=load.vision_tokens,
            text_tokens=load.text_tokens,
            stages=clock.ms | {SAMPLING: float(np.median(picks))},
            decoded=windows(load.prompt_tokens + COLD, steps[COLD:]),
            reading=reading,
            waited=share,
        )

    def workload(self, cell: Cell) -> Workload:
        """The sizes of a cell's prompts."""
        return workload_of(self._maker.prompts(self._maker.content(cell), StageTimes()))


def _share(before_s: float | None, after_s: float | None, elapsed_s: float) -> float | None:
    return None if before_s is None or after_s is None else max(0.0, after_s - before_s) / elapsed_s


def _pick(logits: Array) -> float:
    """Milliseconds that choosing the most likely tokens takes."""
    began = time.perf_counter()
    [int(token) for token in logits.argmax(axis=-1)]
    return 1e3 * (time.perf_counter() - began)


def windows(length: int, steps: list[float]) -> tuple[tuple[float, float], ...]:
    """The median of each window of steps with the mean of its positions, the first step's being `length`."""
    starts = range(0, len(steps), WINDOW)
    return tuple(
        (length + start + (WINDOW - 1) / 2, float(np.median(steps[start : start + WINDOW]))) for start in starts
    )
