"""A machine that is known: times of variants by a rule with a roofline in it, with noise of a given size."""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from profiles.latency.fit.observations import Observation
from runtime.engines.stages import DECODE, PREFILL, VISION
from runtime.latency.terms import experts_hit
from runtime.latency.workload import Layers, Workload

EXPERTS = 64
STEPS = 64
SHAPES = ((16, 8), (16, 2), (14, 4), (12, 8), (12, 2))
LOADS = tuple(
    Workload(batch=batch, vision_tokens=vision, text_tokens=text)
    for batch in (1, 2, 4)
    for vision in (144, 720, 1872)
    for text in (16, 64, 256)
)


def layers_of(depth: int, k: int) -> Layers:
    """Block 0 at 8, the others at `k`."""
    return Layers.of((8, *(k,) * (depth - 1)), experts=EXPERTS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """Bytes and operations a millisecond; milliseconds fixed for a layer and for a call."""

    bandwidth: float = 30e6
    arithmetic: float = 1.2e8
    layer_ms: float = 0.05
    call_ms: float = 0.6

    def ms(self, stage: str, layers: Layers, load: Workload, position: float) -> float:
        """The true time of a stage."""
        if stage == VISION:
            return 0.4 + load.batch * load.vision_tokens * 24e5 / self.arithmetic
        each = sum(count * self._layer(stage, k or 0, load, position) for k, count in layers.counts)
        return self.call_ms + each

    def _layer(self, stage: str, k: int, load: Workload, position: float) -> float:
        tokens = load.batch * (load.prompt_tokens if stage == PREFILL else 1)
        read = (experts_hit(tokens, k, EXPERTS) * 25e4 + 4e5) / self.bandwidth
        computed = tokens * (k * 1.2e5 + 3e5) / self.arithmetic
        pairs = tokens * (load.prompt_tokens if stage == PREFILL else position)
        return self.layer_ms + max(read, computed) + pairs * 600 / self.arithmetic


def observe(
    machine: Machine,
    shapes: Iterable[tuple[int, int]] = SHAPES,
    loads: Sequence[Workload] = LOADS,
    *,
    noise: float = 0.02,
    seed: int = 0,
) -> list[Observation]:
    """Every shape (depth, k) under every load: vision, prefill and decoding at three positions."""
    rng = random.Random(seed)
    found = []
    for depth, k in shapes:
        layers = layers_of(depth, k)
        for number, load in enumerate(loads):
            decoded = [(DECODE, float(load.prompt_tokens + step)) for step in (0, STEPS // 2, STEPS - 1)]
            for stage, position in [(VISION, 0.0), (PREFILL, 0.0), *decoded]:
                found.append(
                    Observation(
                        stage=stage,
                        variant=f"b{depth}-k{k}",
                        layers=layers,
                        load=load,
                        ms=machine.ms(stage, layers, load, position) * math.exp(noise * rng.gauss(0.0, 1.0)),
                        position=position,
                        request=f"{depth} {k} {number}",
                        steps=STEPS - 1,
                    )
                )
    return found
