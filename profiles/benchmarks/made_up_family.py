"""A family of 40 variants that exists as documents only: manifest, an estimator of every term, a baseline."""

import random

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
from runtime.latency.terms import term_names

BLOCKS, EXPERTS, DEPTHS, TOP_KS = 16, 64, range(9, 17), (8, 6, 4, 3, 2)
ENGINE, DTYPE, TASK = "onnx", "float32", "vqa"
_DIGEST = "0" * 64
_LEVEL = 0.95


def made_up_manifest() -> Manifest:
    """Eight depths times five numbers of experts per token."""
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


def made_up_estimator(rng: random.Random) -> LatencyEstimator:
    """Every term of every stage counts, by coefficients that `rng` draws."""
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


def made_up_baseline(manifest: Manifest) -> Baseline:
    """One data set: fewer blocks and experts score less."""
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
