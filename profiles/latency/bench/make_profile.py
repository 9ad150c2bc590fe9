"""From visits to a latency profile."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from profiles.latency.bench.grid import Cell
from profiles.latency.bench.samples import Visit, by_stage, grouped, summarise
from runtime.documents.family_digest import family_digest
from runtime.documents.latency.profile_document import (
    Device,
    LatencyProfile,
    MeasuredVariant,
    ModelRecord,
    Point,
)
from runtime.documents.manifest import Manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """The visits of one engine with one type of weights, and the software that it ran on."""

    engine: str
    dtype: str
    software: Mapping[str, str]
    cells: Sequence[Cell]
    visits: Sequence[Visit]


def make_profile(manifest: Manifest, device: Device, series: Sequence[Series], *, taken: str) -> LatencyProfile:
    """The document of all series; `taken` is when the run began, ISO 8601 in UTC."""
    software = {name: text for one in series for name, text in one.software.items()}
    source = manifest.source
    return LatencyProfile(
        trimoe=version("trimoe"),
        taken=taken,
        device=device,
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
    )


def _points(series: Series) -> Iterator[Point]:
    cells = {cell.name: cell for cell in series.cells}
    for name, visits in grouped(series.visits):
        if name not in cells:
            continue
        cell, first = cells[name], visits[0]
        for (stage, position), times in by_stage(visits).items():
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
                median_ms=found.median,
                p5_ms=found.p5,
                p95_ms=found.p95,
                count=found.count,
                outliers=found.outliers,
                drift=found.drift,
            )
