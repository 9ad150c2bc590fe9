"""What the first token of a newcomer waits for, while an answer is decoded and a long prompt is read."""

import time

import numpy as np

from profiles.benchmarks.batching.calls import Calls
from profiles.benchmarks.batching.requests import CHUNK_TOKENS, EndlessReader, Stopwatch, random_prompt, running
from profiles.benchmarks.engine_calls import DECODE, READ, EngineWithCalls
from profiles.benchmarks.figures import Figure, at_most
from runtime.engines.protocol import Engine
from runtime.serving.batching.answering.transcript import Reader
from runtime.serving.request import Sampling

LONG_CHUNKS = 6  # of the prompt that newcomers come in on


def newcomers(engine: Engine, reader: Reader, variant: str, *, count: int) -> tuple[Figure, Figure]:
    """The most chunks and steps of others that a newcomer's first token waited for, of `count` that came one at a time
    while an answer was decoded and a long prompt was read."""
    chunks, steps = zip(*(_waited(engine, reader, variant, seed=number) for number in range(count)), strict=True)
    return (
        at_most("chunks that a first token waits for", max(chunks), 1),
        at_most("steps that a first token waits for", max(steps), 1),
    )


def _waited(engine: Engine, reader: Reader, variant: str, *, seed: int) -> tuple[int, int]:
    """Chunks and steps of others between the arrival of a newcomer and its first token."""
    calls, delay = Calls(), np.random.default_rng(seed).random()
    prompt = random_prompt(variant, CHUNK_TOKENS // 2, seed=seed)
    with running(EngineWithCalls(engine, calls.noted), EndlessReader(reader), rows=8) as scheduler:
        first, long, new = Stopwatch(), Stopwatch(), Stopwatch()
        scheduler.submit(random_prompt(variant, 4, seed=0), Sampling(max_tokens=LONG_CHUNKS + 9), first)
        scheduler.submit(random_prompt(variant, LONG_CHUNKS * CHUNK_TOKENS, seed=1), Sampling(max_tokens=1), long)
        while sum(call.kind == READ for call in calls) < 3 and not long.moments:
            time.sleep(1e-4)
        time.sleep(delay * sum(call.ended - call.began for call in calls[-2:]))
        arrived = time.monotonic()
        scheduler.submit(prompt, Sampling(max_tokens=1), new)
        new.wait()
    others = [
        call.kind
        for call in calls
        if call.ended > arrived and call.began < new.moments[0] and not call.took_part(prompt)
    ]
    return others.count(READ), others.count(DECODE)
