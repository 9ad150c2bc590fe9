"""The latency profile of a family: what was measured on one device, and everything needed to measure it again.

One document holds one device; several engines and types of weights may stand in it. Times are milliseconds. The format
is trimoe's own, "trimoe.latency-profile" version 1; the types below are its definition.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from runtime.documents.checked_json import Node, dump_document, read_document
from runtime.documents.schema import Natural, PlainName, Positive, Sha256, convert, fields_of, read_fields

FORMAT = "trimoe.latency-profile"
VERSION = 1

Milliseconds = Annotated[float, Meta(gt=0)]
Place = Annotated[float, Meta(ge=0)]


class Clocks(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The least and the greatest clock seen during the run, in MHz."""

    low_mhz: float
    high_mhz: float


class Device(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the times were taken on. `affinity` has the processors that the process was bound to; `load` is the
    machine's load average when the run began."""

    kind: str
    name: str
    driver: str
    memory_bytes: Natural
    processors: Positive
    threads: Positive
    affinity: tuple[Natural, ...]
    clocks: Clocks | None
    load: float


class ModelRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which family was measured, by the digest of what it is; `experts` of a layer (None: dense). `synthetic` weights
    give times, not answers."""

    name: str
    architecture: str
    digest: Sha256
    experts: Positive | None
    synthetic: bool


class MeasuredVariant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A variant: how many layers it has, and the experts per token of each (None: dense)."""

    id: PlainName
    layers: Positive
    top_k: tuple[Positive, ...] | None


class Point(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One stage of one variant under one load: the median of `count` repeats, their 5th and 95th percentile, and how
    many were outliers (beyond three robust standard deviations; kept in all figures).

    `position` is how many tokens the cache held before the decoded one (a mean over several), None for other stages;
    `drift` the change of the median from the first half of the repeats to the second, as a share.
    """

    engine: str
    dtype: str
    variant: str
    batch: Positive
    vision_tokens: Natural
    text_tokens: Natural
    stage: str
    position: Place | None
    median_ms: Milliseconds
    p5_ms: Milliseconds
    p95_ms: Milliseconds
    count: Positive
    outliers: Natural
    drift: float

    @property
    def key(self) -> tuple[object, ...]:
        """What no two points of a profile share: engine, dtype, variant, load, stage and position."""
        load = (self.batch, self.vision_tokens, self.text_tokens)
        return (self.engine, self.dtype, self.variant, *load, self.stage, self.position)


class Footprint(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a prompt and `decoded_tokens` further tokens took of the device beside time: the most memory in use (of the
    process on a processor, of the device elsewhere), and the energy of a median run; None where it does not tell."""

    engine: str
    dtype: str
    variant: str
    batch: Positive
    vision_tokens: Natural
    text_tokens: Natural
    decoded_tokens: Natural
    peak_memory_bytes: Positive | None
    energy_j: Annotated[float, Meta(gt=0)] | None


class LatencyProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The profile document; `taken` is when its first time was taken, ISO 8601 in UTC. `software`: packages and
    settings that the times may depend on, and their version or value. `disturbed` is how many repeats were left out
    because other programs kept the process waiting meanwhile."""

    trimoe: str
    taken: str
    device: Device
    model: ModelRecord
    software: Mapping[str, str]
    variants: tuple[MeasuredVariant, ...]
    points: tuple[Point, ...]
    disturbed: Natural
    footprints: tuple[Footprint, ...]


def dump_profile(profile: LatencyProfile) -> bytes:
    """The bytes of a profile."""
    return dump_document({"format": FORMAT, "version": VERSION, **fields_of(profile)})


def read_profile(path: Path) -> LatencyProfile:
    """Read and check a profile. Raises DocumentError with the key path of what is wrong."""
    return parse_profile(read_document(path))


def parse_profile(document: Node) -> LatencyProfile:
    """The profile in a document that was read. Raises DocumentError with the key path of what is wrong, also for a
    variant or a point that is there twice, and a point of a variant that is not listed."""
    node = read_fields(document, format=FORMAT, version=VERSION, what="a latency profile of trimoe")
    profile = convert(node, LatencyProfile)
    _check_variants(node.require("variants"), profile)
    _check_points(node.require("points"), profile)
    _check_footprints(node.require("footprints"), profile)
    return profile


def _check_variants(node: Node, profile: LatencyProfile) -> None:
    seen = set()
    for place, variant in zip(node.elements(), profile.variants, strict=True):
        if variant.id in seen:
            place.require("id").fail(f"{variant.id} occurs twice")
        if variant.top_k is not None and len(variant.top_k) != variant.layers:
            place.require("top_k").fail(f"{len(variant.top_k)} entries for {variant.layers} layers")
        if max(variant.top_k or (0,)) > (profile.model.experts or 0):
            place.require("top_k").fail(f"{max(variant.top_k or ())} is above model.experts, {profile.model.experts}")
        seen.add(variant.id)


def _check_footprints(node: Node, profile: LatencyProfile) -> None:
    known = {variant.id for variant in profile.variants}
    for place, footprint in zip(node.elements(), profile.footprints, strict=True):
        if footprint.variant not in known:
            place.require("variant").fail(f"{footprint.variant!r} is none of the variants")


def _check_points(node: Node, profile: LatencyProfile) -> None:
    known, seen = {variant.id for variant in profile.variants}, set()
    for place, point in zip(node.elements(), profile.points, strict=True):
        if point.variant not in known:
            place.require("variant").fail(f"{point.variant!r} is none of the variants")
        if point.key in seen:
            place.fail(f"{point.variant}, stage {point.stage}, is there twice under the same load")
        if not point.p5_ms <= point.median_ms <= point.p95_ms:
            place.require("median_ms").fail(f"{point.median_ms} is not between p5_ms and p95_ms")
        seen.add(point.key)
