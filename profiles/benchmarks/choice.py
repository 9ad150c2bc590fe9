"""How long a choice takes: forecast and choice among many variants, each request of another size, under load."""

import gc
import random
import time
from dataclasses import dataclass

from profiles.benchmarks.made_up_family import (
    DTYPE,
    ENGINE,
    TASK,
    made_up_baseline,
    made_up_estimator,
    made_up_manifest,
)
from runtime.latency.estimator import Estimator
from runtime.selection.choice import NoFeasibleVariantError
from runtime.selection.choose import choose
from runtime.selection.demand import Demand
from runtime.serving.forecasting.accuracies import Accuracies
from runtime.serving.forecasting.forecast import Forecaster
from runtime.serving.forecasting.lengths import Length
from runtime.serving.forecasting.work import Ahead, Work


@dataclass(frozen=True, kw_only=True, slots=True)
class ChoiceTimes:
    """Microseconds of forecasts with their choices, and how many requests were refused."""

    variants: int
    requests: int
    p50_us: float
    p99_us: float
    refused: int


def time_choices(*, requests: int, seed: int = 0) -> ChoiceTimes:
    """Choose for so many requests, after a tenth as many that warm up, among 40 variants with an estimator of every
    term, a baseline, prompts that wait and rows that run."""
    rng = random.Random(seed)
    manifest = made_up_manifest()
    accuracies = Accuracies(manifest, made_up_baseline(manifest), engine=ENGINE)
    forecaster = Forecaster(manifest, (DTYPE,), accuracies, (Estimator(made_up_estimator(rng)),), engine=ENGINE)
    ids = [variant.id for variant in manifest.variants]
    times, refused = [], 0
    for number in range(-(requests // 10), requests):
        work, ahead = _work(rng), {DTYPE: _ahead(rng, ids)}
        demand = Demand(budget_ms=rng.uniform(100.0, 40_000.0), min_accuracy=rng.uniform(0.3, 0.8))
        gc.disable()
        began = time.perf_counter()
        try:
            choose(forecaster.forecast(work, TASK, ahead).candidates, demand)
        except NoFeasibleVariantError:
            refused += number >= 0
        times.append((time.perf_counter() - began) * 1e6)
        gc.enable()
    kept = sorted(times[requests // 10 :])
    p50, p99 = (kept[min(int(share * len(kept)), len(kept) - 1)] for share in (0.5, 0.99))
    return ChoiceTimes(variants=len(ids), requests=requests, p50_us=p50, p99_us=p99, refused=refused)


def _work(rng: random.Random) -> Work:
    cap = rng.randint(8, 256)
    length = Length(mean=rng.uniform(1, cap), high=cap)
    return Work(text_tokens=rng.randint(8, 500), vision_tokens=rng.choice((0, 144, 1440)), length=length, spent_ms=3.0)


def _ahead(rng: random.Random, ids: list[str]) -> Ahead:
    """Three variants that run and two of which prompts wait."""
    waiting = {one: (prompts := rng.randint(1, 4), prompts * rng.randint(8, 500)) for one in rng.sample(ids, 2)}
    return Ahead(waiting=waiting, running={one: rng.randint(1, 8) for one in rng.sample(ids, 3)})
