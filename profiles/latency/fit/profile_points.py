"""The points of a latency profile as observations."""

from profiles.errors import MeasurementError
from profiles.latency.fit.observations import Observation
from runtime.documents.latency.profile_document import LatencyProfile, Point
from runtime.engines.stages import STAGES
from runtime.latency.workload import Layers, Workload

OUTPUT_TOKENS = 64  # of the answers that end-to-end errors are stated for


def series(profile: LatencyProfile) -> tuple[tuple[str, str], ...]:
    """The engines and types of weights that a profile holds, in the order in which they appear."""
    return tuple(dict.fromkeys((point.engine, point.dtype) for point in profile.points))


def profile_observations(profile: LatencyProfile, *, engine: str, dtype: str) -> tuple[Observation, ...]:
    """The points of one engine and type, their medians. Raises MeasurementError naming what the profile has instead,
    and for a stage that this trimoe does not know."""
    layers = {
        one.id: Layers.of(one.top_k or (None,) * one.layers, experts=profile.model.experts or 0)
        for one in profile.variants
    }
    points = [point for point in profile.points if (point.engine, point.dtype) == (engine, dtype)]
    if not points:
        have = ", ".join(f"{one} {kind}" for one, kind in series(profile)) or "nothing"
        raise MeasurementError(f"no times of {engine} {dtype}; the profile has {have}")
    strange = [point.stage for point in points if point.stage not in STAGES]
    if strange:
        raise MeasurementError(f"the profile has a stage {strange[0]!r}; this trimoe knows {', '.join(STAGES)}")
    return tuple(_observation(point, layers[point.variant]) for point in points)


def _observation(point: Point, layers: Layers) -> Observation:
    return Observation(
        stage=point.stage,
        variant=point.variant,
        layers=layers,
        load=Workload(batch=point.batch, vision_tokens=point.vision_tokens, text_tokens=point.text_tokens),
        ms=point.median_ms,
        position=float(point.position or 0),
        request=f"{point.variant} {point.batch} {point.vision_tokens} {point.text_tokens}",
        steps=OUTPUT_TOKENS - 1,
    )
