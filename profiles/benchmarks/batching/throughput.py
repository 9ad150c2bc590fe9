"""Measures what batching gains and costs on a family: many requests at once against one at a time and against the bare
engine, and what newcomers wait for. Medians of interleaved rounds, in one run."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from profiles.benchmarks.batching.newcomers import newcomers
from profiles.benchmarks.batching.requests import EndlessReader, Stopwatch, random_prompt, running
from profiles.benchmarks.figures import Figure, at_least, at_most
from runtime.documents.manifest import Manifest
from runtime.engines.protocol import Engine, Prompt
from runtime.serving.batching.answering.transcript import Reader
from runtime.serving.request import Sampling


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """So many requests at once, of prompts and answers of so many tokens."""

    requests: int = 16
    prompt_tokens: int = 32
    new_tokens: int = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchingBench:
    """Median tokens per second by contender, and figures, whose ratios are medians of those within each round."""

    rates: dict[str, float]
    figures: tuple[Figure, ...]
    rounds: int


class Contenders:
    """What is timed, each giving tokens per second while nothing but decoding happens."""

    def __init__(self, engine: Engine, reader: Reader, load: Load) -> None:
        """Prompts are random, the same in every round."""
        self._engine, self._reader, self._load = engine, EndlessReader(reader), load

    def bare(self, variant: str) -> float:
        """The engine's own loop, one sequence, greedy."""
        sequences = self._engine.prefill(self._prompts([variant]), max_new_tokens=self._load.new_tokens)
        tokens = [int(token) for token in sequences.logits.argmax(axis=-1)]
        began = time.monotonic()
        for _ in range(self._load.new_tokens - 1):
            sequences.decode(tokens)
            tokens = [int(token) for token in sequences.logits.argmax(axis=-1)]
        return (self._load.new_tokens - 1) / (time.monotonic() - began)

    def in_turn(self, variants: Sequence[str]) -> float:
        """One request at a time, one for each of the variants."""
        watches = [self._answered([prompt])[0] for prompt in self._prompts(variants)]
        seconds = sum(watch.moments[-1] - watch.moments[0] for watch in watches)
        return sum(len(watch.moments) - 1 for watch in watches) / seconds

    def together(self, variants: Sequence[str]) -> float:
        """All requests at once, over variants in turn; while all of them run: from a step of the one that ends first to
        its last, so that each step in between counts once for every request."""
        repeated = [variants[place % len(variants)] for place in range(self._load.requests)]
        watches = self._answered(self._prompts(repeated))
        last_begun = max(one.moments[0] for one in watches)
        first_over = min(watches, key=lambda one: one.moments[-1])
        steps = [moment for moment in first_over.moments if moment > last_begun]
        if len(steps) < 2:
            raise ValueError(f"answers of {self._load.new_tokens} tokens are too short: one ended before all had begun")
        begin, end = steps[0], steps[-1]
        return sum(begin < moment <= end for one in watches for moment in one.moments) / (end - begin)

    def _answered(self, prompts: Sequence[Prompt]) -> list[Stopwatch]:
        with running(self._engine, self._reader, rows=self._load.requests) as scheduler:
            watches = [Stopwatch() for _ in prompts]
            for prompt, watch in zip(prompts, watches, strict=True):
                scheduler.submit(prompt, Sampling(max_tokens=self._load.new_tokens), watch)
            for watch in watches:
                watch.wait()
        return watches

    def _prompts(self, variants: Sequence[str]) -> list[Prompt]:
        return [random_prompt(variant, self._load.prompt_tokens, seed=place) for place, variant in enumerate(variants)]


def four_variants(manifest: Manifest) -> tuple[str, ...]:
    """The ids of the most and the fewest blocks with the largest and the smallest top_k: as many of those four as there
    are."""
    ordered = sorted(manifest.variants, key=lambda one: (-len(one.layers), [-k for k in one.top_k or ()]))
    deepest = [one for one in ordered if len(one.layers) == len(ordered[0].layers)]
    flattest = [one for one in ordered if len(one.layers) == len(ordered[-1].layers)]
    return tuple(dict.fromkeys(one.id for one in (deepest[0], deepest[-1], flattest[0], flattest[-1])))


def bench_batching(
    engine: Engine,
    reader: Reader,
    variants: Sequence[str],
    *,
    rounds: int,
    say: Callable[[str], None],
    load: Load | None = None,
) -> BatchingBench:
    """Time everything in turn, round after round, after one that warms up. The first of `variants` is the one that runs
    alone. Raises what the engine raises."""
    contenders = Contenders(engine, reader, load or Load())
    timed: dict[str, Callable[[], float]] = {
        "bare engine, 1 sequence": lambda: contenders.bare(variants[0]),
        "one at a time": lambda: contenders.in_turn(variants[:1]),
        "together": lambda: contenders.together(variants[:1]),
        f"{len(variants)} variants, one at a time": lambda: contenders.in_turn(variants),
        f"{len(variants)} variants, together": lambda: contenders.together(variants),
    }
    found: dict[str, list[float]] = {name: [] for name in timed}
    for number in range(rounds + 1):
        say(f"round {number} of {rounds}")
        for name, measure in timed.items():
            rate = measure()
            if number:
                found[name].append(rate)
    say("newcomers")
    bare, alone, together, mixed_alone, mixed = found.values()
    return BatchingBench(
        rates={name: statistics.median(rates) for name, rates in found.items()},
        figures=(
            at_least("together over one at a time, one variant", _ratio(together, alone), 2.0),
            at_least(f"together over one at a time, {len(variants)} variants", _ratio(mixed, mixed_alone), 1.4),
            at_most("time over the bare engine's, 1 sequence", _ratio(bare, alone), 1.05),
            *newcomers(engine, reader, variants[0], count=4 * rounds),
        ),
        rounds=rounds,
    )


def _ratio(ones: Sequence[float], others: Sequence[float]) -> float:
    return statistics.median(one / other for one, other in zip(ones, others, strict=True))
