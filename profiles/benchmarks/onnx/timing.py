"""Contenders timed in turn, round after round, so that a machine that slows down slows all of them."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from profiles.benchmarks.onnx.contender import Array, Contender

PREFILL_TOKENS, PROMPT_TOKENS, DECODED_TOKENS = 512, 64, 32
READ_BYTES = 1 << 30

Key = tuple[str, int]
"""A contender's name and its experts per token."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """One contender in one round: milliseconds of a prefill and of a decoded token; right after it, seconds to read
    READ_BYTES of memory."""

    prefill_ms: float
    decode_ms: float
    read_s: float


Timings = Mapping[Key, Sequence[Timing]]
"""Those of one round at the same place."""


def prompts() -> tuple[Array, Array]:
    """Random tokens [1, n]: those to prefill, and those in front of decoded ones."""
    generator = np.random.default_rng(0)
    long, short = (generator.integers(3, 1000, (1, count)) for count in (PREFILL_TOKENS, PROMPT_TOKENS))
    return long, short


def time_contenders(
    contenders: Mapping[Key, Contender], *, rounds: int, say: Callable[[str], None]
) -> dict[Key, list[Timing]]:
    """The timings of each contender, one a round, after a round that warms up: a prefill of 512 random tokens, and 32
    tokens decoded behind 64."""
    long, short = prompts()
    large = torch.ones(READ_BYTES // 4)
    found: dict[Key, list[Timing]] = {key: [] for key in contenders}
    begin = time.perf_counter()
    for number in range(rounds + 1):
        for key, contender in contenders.items():
            timing = Timing(
                prefill_ms=contender.prefill(long),
                decode_ms=contender.decode(short, DECODED_TOKENS),
                read_s=_read_seconds(large),
            )
            if number:
                found[key].append(timing)
        left = (time.perf_counter() - begin) / (number + 1) * (rounds - number)
        say(f"round {number} of {rounds}, {left:.0f} s left")
    return found


def _read_seconds(large: torch.Tensor) -> float:
    """Seconds to read an array once, with the same threads: the limit of a decoder that reads its weights once per
    token."""
    begin = time.perf_counter()
    large.sum()
    return time.perf_counter() - begin


def median_of(what: str, found: Sequence[Timing]) -> float:
    """The median of a field of Timing over the rounds."""
    return float(statistics.median(getattr(timing, what) for timing in found))


def median_ratio(what: str, slow: Sequence[Timing], quick: Sequence[Timing]) -> float:
    """The median over the rounds of how many times longer the one took than the other."""
    pairs = zip(slow, quick, strict=True)
    return float(statistics.median(getattr(one, what) / getattr(other, what) for one, other in pairs))
