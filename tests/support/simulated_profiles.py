"""Latency profiles of a machine that is known, and baselines to go with them."""

from collections.abc import Sequence

from msgspec.structs import replace

from runtime.documents.baseline import Baseline
from runtime.documents.latency.profile_document import LatencyProfile, MeasuredVariant, Point
from runtime.engines.stages import VISION
from runtime.latency.workload import Workload
from tests.support.documents import BASELINE, SCORE
from tests.support.latency_documents import PROFILE
from tests.support.simulated_machine import EXPERTS, Machine, observe

Shapes = Sequence[tuple[int, int]]
DIGEST = PROFILE.model.digest
FORM = ("onnx", "float32")
SHAPES = ((16, 8), (16, 4), (14, 8), (14, 4), (12, 4))
LOADS = tuple(
    Workload(batch=batch, vision_tokens=vision, text_tokens=text)
    for batch in (1, 2, 4)
    for vision in (0, 144)
    for text in (16, 64)
)


def simulated_profile(
    shapes: Shapes = SHAPES,
    loads: Sequence[Workload] = LOADS,
    *,
    forms: Sequence[tuple[str, str]] = (FORM,),
    machine: Machine | None = None,
) -> LatencyProfile:
    """The times of variants of these shapes (depth, top_k), in every form (engine, type of weights)."""
    points = [
        point
        for number, form in enumerate(forms)
        for point in _points(machine or Machine(), shapes, loads, form, number)
    ]
    return replace(
        PROFILE,
        model=replace(PROFILE.model, experts=EXPERTS),
        variants=tuple(
            MeasuredVariant(id=f"b{depth}-k{k}", layers=depth, top_k=(8, *(k,) * (depth - 1))) for depth, k in shapes
        ),
        points=tuple(points),
        footprints=tuple(
            replace(one, variant=f"b{depth}-k{k}") for one in PROFILE.footprints for depth, k in shapes[:1]
        ),
    )


def _points(
    machine: Machine, shapes: Shapes, loads: Sequence[Workload], form: tuple[str, str], seed: int
) -> list[Point]:
    found = observe(machine, shapes, loads, seed=seed)
    return [
        Point(
            engine=form[0],
            dtype=form[1],
            variant=one.variant,
            batch=one.load.batch,
            vision_tokens=one.load.vision_tokens,
            text_tokens=one.load.text_tokens,
            stage=one.stage,
            position=one.position or None,
            median_ms=one.ms,
            p5_ms=0.97 * one.ms,
            p95_ms=1.06 * one.ms,
            count=9,
            outliers=0,
            drift=0.01 * ((37 * number) % 7 - 3),
        )
        for number, one in enumerate(found)
        if one.stage != VISION or one.load.vision_tokens
    ]


def simulated_baseline(shapes: Shapes = SHAPES, *, forms: Sequence[tuple[str, str]] = (FORM,)) -> Baseline:
    """Scores that fall with each block and, less so, with each expert, on one data set."""
    return replace(
        BASELINE,
        family=replace(BASELINE.family, digest=DIGEST),
        scores=tuple(
            replace(SCORE, variant=f"b{depth}-k{k}", engine=engine, dtype=dtype, score=score, interval=interval)
            for engine, dtype in forms
            for depth, k in shapes
            for score in [0.95 - 0.01 * (16 - depth) ** 1.5 - 0.002 * (8 - k)]
            for interval in [replace(SCORE.interval, low=score - 0.02, high=score + 0.02)]
        ),
    )
