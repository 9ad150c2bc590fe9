"""Latency profiles that a benchmark of a known machine would write, stage by stage."""

from msgspec.structs import replace

from profiles.latency.fit.observations import Observation
from runtime.documents.latency.profile_document import LatencyProfile, MeasuredVariant, Point
from tests.support.latency_documents import PROFILE
from tests.support.simulated_machine import SHAPES, Machine, observe


def point(one: Observation) -> Point:
    return Point(
        engine="onnx",
        dtype="float32",
        variant=one.variant,
        batch=one.load.batch,
        vision_tokens=one.load.vision_tokens,
        text_tokens=one.load.text_tokens,
        stage=one.stage,
        position=one.position if one.stage == "decode" else None,
        median_ms=one.ms,
        p5_ms=one.ms,
        p95_ms=one.ms,
        count=5,
        outliers=0,
        drift=0.0,
    )


def simulated_profile(machine: Machine) -> LatencyProfile:
    """What a benchmark of a known machine would write."""
    variants = tuple(MeasuredVariant(id=f"b{d}-k{k}", layers=d, top_k=(8, *(k,) * (d - 1))) for d, k in SHAPES)
    return replace(PROFILE, variants=variants, points=tuple(map(point, observe(machine))), footprints=())
