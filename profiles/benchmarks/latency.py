"""Whether `trimoe bench` tells the truth: its times beside the wall time of real answers, in one run."""

import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from profiles.benchmarks.figures import Figure, at_most
from profiles.latency.bench.grid import Cell, image_sizes
from profiles.latency.bench.meters import open_meter
from profiles.latency.bench.prompts import PromptMaker, open_reader
from profiles.latency.bench.samples import Visit
from profiles.latency.bench.visit import COLD, WINDOW, WINDOWS, CellRunner
from runtime.documents.manifest import Manifest
from runtime.engines.greedy import generate
from runtime.engines.open import open_engine
from runtime.engines.protocol import NO_CLOCK, Engine
from runtime.engines.settings import EngineSettings
from runtime.engines.stages import DECODE, SAMPLING

TOKENS, TEXT_TOKENS, BATCHES, VARIANTS = 128, 64, (1, 4), 3
# A cell of so much longer text is decoded around the middle of the answer; time is linear in the position.
TO_THE_MIDDLE = TOKENS // 2 - COLD - WINDOW * WINDOWS // 2
TOKEN_LIMIT, FIRST_LIMIT, AGREEMENT_LIMIT = 0.05, 0.03, 0.03


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """Wall time in milliseconds of one answer to its first token, and of each further token."""

    first_ms: float
    token_ms: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One cell: visits of the benchmark, visits of the cell that decodes where the answer's middle is, real answers."""

    cell: Cell
    visits: tuple[Visit, ...]
    later: tuple[Visit, ...]
    answers: tuple[Answer, ...]

    @property
    def token_ratio(self) -> float:
        """A token by the benchmark over one of a real answer."""
        steps = [statistics.fmean(ms for _, ms in one.decoded) + one.stages[SAMPLING] for one in self.later]
        return statistics.median(steps) / statistics.median(one.token_ms for one in self.answers)

    @property
    def first_ratio(self) -> float:
        """The sum of the stages' medians over the time to the first token of a real answer."""
        total = sum(statistics.median(one.stages[stage] for one in self.visits) for stage in self.visits[0].stages)
        return total / statistics.median(one.first_ms for one in self.answers)

    @property
    def halves(self) -> dict[str, float]:
        """By stage the median of every second visit over that of the others."""
        found: dict[str, list[list[float]]] = defaultdict(lambda: [[], []])
        for number, visit in enumerate(self.visits):
            for stage, ms in (*visit.stages.items(), *((DECODE, ms) for _, ms in visit.decoded)):
                found[stage][number % 2].append(ms)
        return {stage: statistics.median(ones) / statistics.median(others) for stage, (ones, others) in found.items()}


def compare_with_answers(
    family: Path, manifest: Manifest, *, engine: str, dtype: str, threads: int, rounds: int, say: Callable[[str], None]
) -> tuple[Comparison, ...]:
    """Visits and real answers of a few variants in turn, in random order. Raises what engines raise."""
    opened = open_engine(engine, family, manifest, EngineSettings(dtype=dtype, threads=threads))
    reader = open_reader(family, manifest)
    try:
        runner, maker = CellRunner(opened, reader, open_meter("cpu")), PromptMaker(reader)
        sizes = image_sizes(reader.crop_settings)
        found = {cell: Comparison(cell=cell, visits=(), later=(), answers=()) for cell in _cells(manifest, sizes)}
        for number in range(rounds + 1):
            say(f"round {number} of {rounds}" if number else "warming up")
            for cell in random.Random(number).sample(list(found), len(found)):
                one = _compare(cell, runner, maker, opened)
                if number:
                    found[cell] = _joined(found[cell], one)
    finally:
        opened.close()
    return tuple(found.values())


def _cells(manifest: Manifest, sizes: Sequence[tuple[int, int]]) -> Iterator[Cell]:
    """The first variant, the last and those between, with and without the largest image."""
    variants = [one.id for one in manifest.variants]
    last = len(variants) - 1
    chosen = dict.fromkeys(variants[round(last * place / (VARIANTS - 1))] for place in range(VARIANTS))
    for variant in chosen:
        for batch in BATCHES:
            for image in (None, *sizes[-1:]):
                yield Cell(variant=variant, batch=batch, image=image, text_tokens=TEXT_TOKENS)


def _compare(cell: Cell, runner: CellRunner, maker: PromptMaker, engine: Engine) -> Comparison:
    longer = replace(cell, text_tokens=cell.text_tokens + TO_THE_MIDDLE)
    answer = _answer(cell, maker, engine)
    return Comparison(cell=cell, visits=(runner(cell),), later=(runner(longer),), answers=(answer,))


def _joined(found: Comparison, one: Comparison) -> Comparison:
    return Comparison(
        cell=found.cell,
        visits=found.visits + one.visits,
        later=found.later + one.later,
        answers=found.answers + one.answers,
    )


def _answer(cell: Cell, maker: PromptMaker, engine: Engine) -> Answer:
    """Time an answer of one token, from the image on, and one of `TOKENS`."""
    content, times = maker.content(cell), []
    for tokens in (1, TOKENS):
        began = time.perf_counter()
        generate(engine, maker.prompts(content, NO_CLOCK), max_new_tokens=tokens, ends=frozenset())
        times.append(1e3 * (time.perf_counter() - began))
    return Answer(first_ms=times[0], token_ms=(times[1] - times[0]) / (TOKENS - 1))


def figures(comparisons: Sequence[Comparison]) -> tuple[Figure, ...]:
    """What the benchmark is judged by: medians over all cells, as shares."""
    found = []
    for batch in BATCHES:
        ones = [one for one in comparisons if one.cell.batch == batch]
        token = abs(statistics.median(one.token_ratio for one in ones) - 1.0)
        first = abs(statistics.median(one.first_ratio for one in ones) - 1.0)
        found.append(at_most(f"batch {batch}: per token against generate", token, TOKEN_LIMIT))
        found.append(at_most(f"batch {batch}: stages against first token", first, FIRST_LIMIT))
    ratios: dict[str, list[float]] = defaultdict(list)
    for one in comparisons:
        for stage, ratio in one.halves.items():
            ratios[stage].append(abs(ratio - 1.0))
    found += [
        at_most(f"{stage}: repeated", statistics.median(values), AGREEMENT_LIMIT) for stage, values in ratios.items()
    ]
    return tuple(found)
