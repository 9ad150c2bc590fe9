"""Two latency profiles beside each other: how much longer each stage takes, and what differs between where and with
what they were taken."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from profiles.errors import MeasurementError
from runtime.documents.latency.profile_document import LatencyProfile
from runtime.documents.schema import fields_of

RESAMPLES = 2000
LEVEL = 0.95
AGREEMENT = 0.03  # two runs of one family on a still machine differ by no more
OF_THE_RUN = ("clocks", "load")  # what two runs on one machine may see differently


@dataclass(frozen=True, kw_only=True, slots=True)
class StageRatio:
    """Times of the second profile over those of the first, for one engine, type of weights and stage: the median over
    `points` that both have, with a bootstrap interval of it (Efron 1979) at `LEVEL`."""

    engine: str
    dtype: str
    stage: str
    points: int
    ratio: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileComparison:
    """The ratios, and (what, in the first, in the second) for all that differs; `repeated` tells whether both are of
    one family on one machine with the same software, so that nothing but noise is between them."""

    ratios: tuple[StageRatio, ...]
    differences: tuple[tuple[str, str, str], ...]
    repeated: bool

    @property
    def worst(self) -> StageRatio:
        """The stage in which the two differ most."""
        return max(self.ratios, key=lambda one: abs(one.ratio - 1.0))

    @property
    def agree(self) -> bool:
        """Whether every stage's times are the same within `AGREEMENT`."""
        return abs(self.worst.ratio - 1.0) <= AGREEMENT


def compare_profiles(first: LatencyProfile, second: LatencyProfile) -> ProfileComparison:
    """Compare what both measured. Raises MeasurementError when they have no point in common."""
    mine, theirs = ({point.key: point for point in profile.points} for profile in (first, second))
    common = [key for key in mine if key in theirs]
    if not common:
        raise MeasurementError("the two profiles have no variant, load and stage in common")
    groups: dict[tuple[str, str, str], list[float]] = {}
    for key in common:
        point = mine[key]
        ratio = theirs[key].median_ms / point.median_ms
        groups.setdefault((point.engine, point.dtype, point.stage), []).append(ratio)
    differences = tuple(_differences(first, second))
    return ProfileComparison(
        ratios=tuple(_ratio(*group, ratios) for group, ratios in groups.items()),
        differences=differences,
        repeated=all(what in {f"device {name}" for name in OF_THE_RUN} for what, _, _ in differences),
    )


def _ratio(engine: str, dtype: str, stage: str, ratios: list[float]) -> StageRatio:
    values = np.array(ratios)
    drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(np.median(values[drawn], axis=1), ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return StageRatio(
        engine=engine,
        dtype=dtype,
        stage=stage,
        points=len(values),
        ratio=float(np.median(values)),
        low=float(low),
        high=float(high),
    )


def _differences(first: LatencyProfile, second: LatencyProfile) -> Iterator[tuple[str, str, str]]:
    parts = [("device", first.device, second.device), ("model", first.model, second.model)]
    for name, mine, theirs in parts:
        here, there = fields_of(mine), fields_of(theirs)
        for key, value in here.items():
            if value != there[key]:
                yield f"{name} {key}", str(value), str(there[key])
    for name in sorted(first.software.keys() | second.software.keys()):
        mine_version, other = (profile.software.get(name, "none") for profile in (first, second))
        if mine_version != other:
            yield name, mine_version, other
    if first.trimoe != second.trimoe:
        yield "trimoe", first.trimoe, second.trimoe


def comparison_document(comparison: ProfileComparison) -> dict[str, object]:
    """The comparison as JSON."""
    return {
        "level": LEVEL,
        "stages": [asdict(one) for one in comparison.ratios],
        "repeated": comparison.repeated,
        "agree": comparison.agree,
        "differences": [
            {"what": what, "first": first, "second": second} for what, first, second in comparison.differences
        ],
    }
