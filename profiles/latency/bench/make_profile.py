"""From visits to a latency profile."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from statistics import median

from msgspec.structs import replace

from profiles.latency.bench.grid import Cell
from profiles.latency.bench.samples import Visit, by_stage, grouped, summarise, undisturbed
from profiles.latency.bench.visit import STEPS
from runtime.documents.family_digest import family_digest
from runtime.documents.latency.profile_document import (
    Clocks,
    Device,
    Footprint,
    LatencyProfile,
    MeasuredVariant,
    ModelRecord,
    Point,
)
from runtime.documents.manifest import Manifest

NANOSECONDS = 6  # digits of milliseconds; clocks tell no more
LEAST_CALM = 3  # visits that no other program disturbed, of which a median is taken; with fewer, all count


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """The visits of one engine with one type of weights, and the software that it ran on."""

    engine: str
    dtype: str
    software: Mapping[str, str]
    cells: Sequence[Cell]
    visits: Sequence[Visit]


def make_profile(manifest: Manifest, device: Device, series: Sequence[Series]) -> LatencyProfile:
    """The document of all series, of which at least one has a visit."""
    visits = [visit for one in series for visit in one.visits]
    software = {name: text for one in series for name, text in one.software.items()}
    source = manifest.source
    return LatencyProfile(
        trimoe=version("trimoe"),
        taken=min(visit.taken for visit in visits),
        device=replace(device, clocks=_clocks(visits)),
        model=ModelRecord(
            name=source.name,
            architecture=source.architecture,
            digest=family_digest(manifest.files, manifest.variants),
            experts=source.experts,
            synthetic=source.synthetic,
        ),
        software=dict(sorted(software.items())),
        variants=tuple(
            MeasuredVariant(id=one.id, layers=len(one.layers), top_k=one.top_k) for one in manifest.variants
        ),
        points=tuple(point for one in series for point in _points(one)),
        disturbed=sum(visit.disturbed for visit in visits),
        footprints=tuple(found for one in series for found in _footprints(one)),
    )


def _clocks(visits: Sequence[Visit]) -> Clocks | None:
    """The range of the clock over the run."""
    seen = [visit.reading.clock_mhz for visit in visits if visit.reading.clock_mhz is not None]
    return Clocks(low_mhz=min(seen), high_mhz=max(seen)) if seen else None


def _footprints(series: Series) -> Iterator[Footprint]:
    cells = {cell.name: cell for cell in series.cells}
    for name, visits in grouped(series.visits):
        peaks = [one for visit in visits if (one := visit.reading.peak_memory_bytes) is not None]
        energies = [joules for visit in visits if (joules := visit.reading.energy_j) is not None]
        if name in cells and (peaks or energies):
            yield Footprint(
                engine=series.engine,
                dtype=series.dtype,
                variant=cells[name].variant,
                batch=cells[name].batch,
                vision_tokens=visits[0].vision_tokens,
                text_tokens=visits[0].text_tokens,
                decoded_tokens=STEPS - 1,
                peak_memory_bytes=max(peaks) if peaks else None,
                energy_j=median(energies) if energies else None,
            )


def _points(series: Series) -> Iterator[Point]:
    cells = {cell.name: cell for cell in series.cells}
    for name, visits in grouped(series.visits):
        if name not in cells:
            continue
        cell, first = cells[name], visits[0]
        for (stage, position), times in by_stage(undisturbed(visits, LEAST_CALM)).items():
            found = summarise(times)
            yield Point(
                engine=series.engine,
                dtype=series.dtype,
                variant=cell.variant,
                batch=cell.batch,
                vision_tokens=first.vision_tokens,
                text_tokens=first.text_tokens,
                stage=stage,
                position=position,
                median_ms=round(found.median, NANOSECONDS),
                p5_ms=round(found.p5, NANOSECONDS),
                p95_ms=round(found.p95, NANOSECONDS),
                count=found.count,
                outliers=found.outliers,
                drift=round(found.drift, 4),
            )
