"""A latency profile and an estimator as documents, small and whole."""

from runtime.documents.latency.estimator_document import (
    HeldOut,
    LatencyEstimator,
    Range,
    StageModel,
    Term,
)
from runtime.documents.latency.profile_document import (
    Clocks,
    Device,
    Footprint,
    LatencyProfile,
    MeasuredVariant,
    ModelRecord,
    Point,
)


def point(stage: str, position: float | None = None) -> Point:
    return Point(
        engine="onnx",
        dtype="float32",
        variant="b2-k4",
        batch=1,
        vision_tokens=0,
        text_tokens=16,
        stage=stage,
        position=position,
        median_ms=2.5,
        p5_ms=2.25,
        p95_ms=3.5,
        count=9,
        outliers=1,
        drift=0.01,
    )


PROFILE = LatencyProfile(
    trimoe="0.1.0",
    taken="2026-11-21T17:00:00+00:00",
    device=Device(
        kind="cpu",
        name="a processor",
        driver="Linux",
        memory_bytes=8,
        processors=2,
        threads=2,
        affinity=(0, 1),
        clocks=Clocks(low_mhz=1000.5, high_mhz=2000.5),
        load=0.25,
    ),
    model=ModelRecord(name="m", architecture="molmoe", digest="a" * 64, experts=64, synthetic=True),
    software={"onnxruntime": "1.28"},
    variants=(MeasuredVariant(id="b2-k4", layers=2, top_k=(8, 4)),),
    points=(point("prefill"), point("decode", 19.5)),
    disturbed=2,
    footprints=(
        Footprint(
            engine="onnx",
            dtype="float32",
            variant="b2-k4",
            batch=1,
            vision_tokens=0,
            text_tokens=16,
            decoded_tokens=24,
            peak_memory_bytes=1024,
            energy_j=0.5,
        ),
    ),
)


ESTIMATOR = LatencyEstimator(
    trimoe="0.1.0",
    device="a processor",
    engine="onnx",
    dtype="float32",
    experts=64,
    level=0.9,
    bound=1.25,
    stages=(
        StageModel(
            stage="prefill",
            points=8,
            bound=1.5,
            terms=(Term(name="layer", ms=0.5), Term(name="call.call", ms=0.25)),
            held_out=(HeldOut(by="variant", groups=2, points=8, mape=0.05, coverage=0.9),),
        ),
    ),
    held_out=(HeldOut(by="variant", groups=2, points=8, mape=0.05, coverage=0.9),),
    domain=(Range(name="batch", low=1.0, high=4.5),),
    sources=("a.json",),
)
