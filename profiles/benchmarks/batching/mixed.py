"""Measures what a batch that mixes variants gains: the same sequences one at a time, in a batch for each variant, and
all in one, each fed the same tokens."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from profiles.benchmarks.batching.requests import random_prompt
from profiles.benchmarks.batching.throughput import BatchingBench
from profiles.benchmarks.figures import Figure, at_least
from runtime.documents.manifest import Manifest
from runtime.engines.protocol import Engine

ROWS_EACH = 4  # sequences of each variant
PROMPT_TOKENS, STEPS = 16, 16
OVER_ALONE, OVER_BY_VARIANT = {"int8": 2.2}, {"int8": 1.15}  # least ratios, by type of weights
ALONE, BY_VARIANT, MIXED = "one at a time", "a batch for each variant", "one batch"


def spread_variants(manifest: Manifest, count: int) -> tuple[str, ...]:
    """So many variants, as many as there are, spread evenly over those of the family by depth and experts."""
    ordered = sorted(manifest.variants, key=lambda one: (-len(one.layers), [-k for k in one.top_k or ()]))
    places = np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(int)
    return tuple(ordered[place].id for place in places)


def bench_mixed(
    engine: Engine, variants: Sequence[str], *, dtype: str, rounds: int, say: Callable[[str], None]
) -> BatchingBench:
    """Decode four sequences of each variant in all three ways, round after round, after one that warms up. Raises what
    the engine raises."""
    rows = [variant for variant in variants for _ in range(ROWS_EACH)]
    count = len(rows)
    ways = {
        ALONE: [[place] for place in range(count)],
        BY_VARIANT: list(_by_variant(rows)),
        MIXED: [list(range(count))],
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    chosen: dict[str, npt.NDArray[np.int64]] = {}
    for number in range(rounds + 1):
        say(f"mixed batches of {len(variants)} variants, round {number} of {rounds}")
        for way, batches in ways.items():
            took, chosen[way] = _decode(engine, rows, batches)
            if number:
                seconds[way].append(took)
    tokens, of = STEPS * count, f"{count} of {len(variants)} variants"
    same = float((chosen[MIXED] == chosen[ALONE]).mean())
    by_variant = float((chosen[BY_VARIANT] == chosen[ALONE]).mean())
    return BatchingBench(
        rates={f"{of}, {way}": statistics.median(tokens / took for took in found) for way, found in seconds.items()},
        figures=(
            _ratio(f"{of}: over one at a time", seconds[ALONE], seconds[MIXED], OVER_ALONE.get(dtype)),
            _ratio(f"{of}: over a batch each", seconds[BY_VARIANT], seconds[MIXED], OVER_BY_VARIANT.get(dtype)),
            # What kernels of another batch size round otherwise makes no mixture of variants worse.
            at_least(f"{of}: same tokens as alone", same, round(by_variant - 0.01, 2)),
        ),
        rounds=rounds,
    )


def _by_variant(rows: Sequence[str]) -> Iterator[list[int]]:
    for variant in dict.fromkeys(rows):
        yield [place for place, one in enumerate(rows) if one == variant]


def _decode(
    engine: Engine, rows: Sequence[str], batches: Sequence[Sequence[int]]
) -> tuple[float, npt.NDArray[np.int64]]:
    """Seconds of all steps of all batches, one batch after the other, and the most likely tokens [rows, steps]."""
    fed = np.random.default_rng(0).integers(3, 128, (STEPS, len(rows)))
    found, seconds = np.zeros((len(rows), STEPS), np.int64), 0.0
    for places in batches:
        prompts = [random_prompt(rows[place], PROMPT_TOKENS, seed=place) for place in places]
        sequences = engine.prefill(prompts, max_new_tokens=STEPS + 2)
        sequences.decode([3] * len(places))  # what is made once for these sequences
        for step in range(STEPS):
            tokens = fed[step, list(places)].tolist()
            began = time.perf_counter()
            sequences.decode(tokens)
            best = sequences.logits.argmax(axis=-1)
            seconds += time.perf_counter() - began
            found[list(places), step] = best
    return seconds, found


def _ratio(name: str, ones: Sequence[float], others: Sequence[float], least: float | None) -> Figure:
    ratio = statistics.median(one / other for one, other in zip(ones, others, strict=True))
    return (
        Figure(name=name, value=f"{ratio:.2f}", target="", met=None) if least is None else at_least(name, ratio, least)
    )
