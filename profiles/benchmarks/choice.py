"""How long a choice takes: forecast and choice among many variants, each request of another size, under load."""

import gc
import random
import time
from dataclasses import dataclass

from runtime.documents.baseline import (
    Baseline,
    DatasetRecord,
    DecodingRecord,
    DefinitionRecord,
    FamilyRecord,
    IntervalRecord,
    ResultsRecord,
    ScoreRecord,
)
from runtime.documents.family_digest import family_digest
from runtime.documents.latency.estimator_document import LatencyEstimator, Range, StageModel, Term
from runtime.documents.manifest import ChoiceRecord, Manifest, SourceRecord, VariantRecord
from runtime.engines.stages import STAGES
from runtime.latency.estimator import Estimator
from runtime.latency.terms import term_names
from runtime.selection.choice import NoFeasibleVariantError
from runtime.selection.choose import choose
from runtime.selection.limits import Limits
from runtime.serving.accuracies import Accuracies
from runtime.serving.forecast import Forecaster
from runtime.serving.lengths import Length
from runtime.serving.work import Ahead, Work

BLOCKS, EXPERTS, DEPTHS, TOP_KS = 16, 64, range(9, 17), (8, 6, 4, 3, 2)
ENGINE, DTYPE, TASK = "onnx", "float32", "vqa"
_DIGEST = "0" * 64
_LEVEL = 0.95


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
    manifest = _manifest()
    accuracies = Accuracies(manifest, _baseline(manifest), engine=ENGINE)
    forecaster = Forecaster(manifest, (DTYPE,), accuracies, (Estimator(_estimator(rng)),), engine=ENGINE)
    ids = [variant.id for variant in manifest.variants]
    times, refused = [], 0
    for number in range(-(requests // 10), requests):
        work, ahead = _work(rng), {DTYPE: _ahead(rng, ids)}
        limits = Limits(budget_ms=rng.uniform(100.0, 40_000.0), min_accuracy=rng.uniform(0.3, 0.8))
        gc.disable()
        began = time.perf_counter()
        try:
            choose(forecaster.forecast(work, TASK, ahead).candidates, limits)
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


def _manifest() -> Manifest:
    return Manifest(
        trimoe="0",
        source=SourceRecord(
            name="bench",
            architecture="molmoe",
            digest=_DIGEST,
            blocks=BLOCKS,
            experts=EXPERTS,
            top_k=max(TOP_KS),
            synthetic=True,
        ),
        choice=ChoiceRecord(strategy="explicit", protected=(0,), evidence=(), notes=()),
        variants=tuple(_variant(depth, k) for depth in DEPTHS for k in TOP_KS),
        files=(),
    )


def _variant(depth: int, k: int) -> VariantRecord:
    return VariantRecord(
        id=f"b{depth}-k{k}",
        folder=f"variants/b{depth}-k{k}",
        layers=tuple(range(depth)),
        removed=tuple(range(depth, BLOCKS)),
        top_k=(max(TOP_KS), *(k,) * (depth - 1)),
        drop=None,
        parameters=depth,
        active_parameters=depth * k,
        bytes=depth,
        shared_bytes=0,
        golden=None,
        checks=(),
    )


def _estimator(rng: random.Random) -> LatencyEstimator:
    """Every term of every stage counts."""
    stages = [
        StageModel(
            stage=stage,
            points=1,
            bound=1.2,
            terms=tuple(Term(name=name, ms=rng.uniform(1e-4, 1e-3)) for name in sorted(term_names(stage))),
            held_out=(),
        )
        for stage in STAGES
    ]
    return LatencyEstimator(
        trimoe="0",
        device="any",
        engine=ENGINE,
        dtype=DTYPE,
        experts=EXPERTS,
        level=0.9,
        bound=1.15,
        stages=tuple(stages),
        held_out=(),
        domain=(Range(name="prompt_tokens", low=16, high=1500), Range(name="depth", low=10, high=16)),
        sources=(),
    )


def _baseline(manifest: Manifest) -> Baseline:
    digest = family_digest(manifest.files, manifest.variants)
    return Baseline(
        trimoe="0",
        family=FamilyRecord(name=manifest.source.name, digest=digest, source_digest=_DIGEST),
        software={},
        scores=tuple(_score(variant) for variant in manifest.variants),
    )


def _score(variant: VariantRecord) -> ScoreRecord:
    score = 0.8 - 0.02 * len(variant.removed) + 0.001 * sum(variant.top_k or ())
    return ScoreRecord(
        variant=variant.id,
        engine=ENGINE,
        dtype=DTYPE,
        dataset=DatasetRecord(name="data", task=TASK, samples=400, digest=_DIGEST),
        definition=DefinitionRecord(metric="em/molmo", meaning="", cleanup=""),
        decoding=DecodingRecord(prompt="", strategy="greedy", max_new_tokens=8, batch_size=1),
        score=score,
        interval=IntervalRecord(level=_LEVEL, low=score - 0.02, high=score + 0.02, resamples=1, seed=0),
        results=ResultsRecord(path="a", size=0, sha256=_DIGEST),
    )
