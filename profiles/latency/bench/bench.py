"""The benchmark of a family: each engine and type of weights in turn, visits journalled, the profile last."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from msgspec import Struct

from profiles.errors import MeasurementError
from profiles.journal import Journal, JournalKind
from profiles.latency.bench.design import rank
from profiles.latency.bench.forms import Form
from profiles.latency.bench.grid import Cell, Grid, cells, default_grid, image_sizes, parse_grid
from profiles.latency.bench.machine import describe_device
from profiles.latency.bench.make_profile import Series, make_profile
from profiles.latency.bench.meters import open_meter
from profiles.latency.bench.prompts import Reader, open_reader
from profiles.latency.bench.run import Limits, Run, RunProgress, check_spread
from profiles.latency.bench.samples import Visit
from profiles.latency.bench.visit import STEPS, CellRunner
from runtime.documents.baseline import ONNX
from runtime.documents.checked_json import read_document
from runtime.documents.family_digest import family_digest
from runtime.documents.family_layout import CONFIG
from runtime.documents.latency.profile_document import Device, LatencyProfile
from runtime.documents.manifest import Manifest, VariantRecord
from runtime.engines.open import open_engine
from runtime.engines.prepared.forms import PreparedForms
from runtime.engines.settings import EngineSettings
from runtime.latency.workload import Layers

POSITIONS = "max_position_embeddings"


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchRequest:
    """What to measure. `grid` is as `parse_grid` reads it; `form_budget_s` are the seconds for each form (None: as
    long as it takes); journals stand beside `out`."""

    family: Path
    manifest: Manifest
    forms: tuple[Form, ...]
    variants: tuple[str, ...]
    device: str
    threads: int
    prepared: PreparedForms | None
    grid: str
    limits: Limits
    form_budget_s: float | None
    out: Path


class VisitSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must be the same for visits to belong to one profile: the first line of their journal."""

    trimoe: str
    family: str
    form: str
    device: str
    machine: str
    threads: int
    grid: tuple[str, ...]
    variants: tuple[str, ...]
    software: Mapping[str, str]


VISITS = JournalKind(work="benchmark", holds="times", row=Visit)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Bench:
    """A request, with the machine, the grid and the prompts of its family."""

    request: BenchRequest
    machine: Device
    grid: Grid
    reader: Reader

    def measure(self, form: Form, progress: RunProgress) -> Series:
        """The visits of one form, those that its journal has and the others."""
        request = self.request
        options: dict[str, Any] = {} if form.dtype is None else {"dtype": form.dtype}
        settings = EngineSettings(**options, device=request.device, threads=request.threads, prepared=request.prepared)
        engine = open_engine(form.engine, request.family, request.manifest, settings)
        try:
            software = {**engine.software, **self.reader.software}
            with Journal(_journal_of(request, form), self._settings(form, software), VISITS) as journal:
                after_s = journal.rows[-1].second if journal.rows else 0.0
                runner = CellRunner(engine, self.reader, open_meter(request.device), after_s=after_s)
                ordered = self._most_telling_first(runner)
                budget_s = request.form_budget_s
                Run(cells=ordered, measure=runner, journal=journal, limits=request.limits, budget_s=budget_s).go(
                    progress
                )
                dtype = engine.load(ordered[0].variant)
                rows = tuple(journal.rows)
        finally:
            engine.close()
        return Series(engine=form.engine, dtype=dtype, software=software, cells=ordered, visits=rows)

    def _settings(self, form: Form, software: Mapping[str, str]) -> VisitSettings:
        request, grid = self.request, self.grid
        return VisitSettings(
            trimoe=version("trimoe"),
            family=family_digest(request.manifest.files, request.manifest.variants),
            form=form.name,
            device=request.device,
            machine=self.machine.name,
            threads=request.threads,
            grid=tuple(cell.name for cell in cells(("",), grid)),
            variants=request.variants,
            software=software,
        )

    def _most_telling_first(self, runner: CellRunner) -> tuple[Cell, ...]:
        """Every cell of the request, ordered by what an estimator learns from it. Raises MeasurementError for one that
        is longer than the model."""
        manifest = self.request.manifest
        found = cells(self.request.variants, self.grid)
        layers = {one.id: layers_of(one, experts=manifest.source.experts or 0) for one in manifest.variants}
        sizes = {cell.load: runner.workload(cell) for cell in found[: len(found) // len(self.request.variants)]}
        limit = _positions(self.request)
        for load, size in sizes.items():
            if limit is not None and size.prompt_tokens + STEPS > limit:
                raise MeasurementError(
                    f"grid: {load} is {size.prompt_tokens} tokens, and {STEPS} are decoded; the model has {limit} "
                    "positions"
                )
        once = {
            size: load for load, size in reversed(sizes.items())
        }.values()  # images of one size in tokens: the first
        kept = [cell for cell in found if cell.load in once]
        return tuple(kept[index] for index in rank([(layers[cell.variant], sizes[cell.load]) for cell in kept]))


def bench(request: BenchRequest, progress: Callable[[Form], RunProgress]) -> LatencyProfile:
    """Measure and return the profile. A run that was killed goes on from its journals; remove them with
    `remove_journals` once the profile is written.

    Raises MeasurementError when the machine is too noisy, and for a grid, a device or a journal that does not fit;
    DocumentError and VerificationError as the engines do.
    """
    _check_device(request)
    machine = describe_device(request.device, threads=request.threads)
    reader = open_reader(request.family, request.manifest)
    grid = parse_grid(request.grid, default_grid(image_sizes(reader.crop_settings)))
    if reader.crop_settings is None and any(grid.images):
        raise MeasurementError(f"grid: {request.manifest.source.name} reads no images; only image=none")
    run = _Bench(request=request, machine=machine, grid=grid, reader=reader)
    series = [run.measure(form, progress(form)) for form in request.forms]
    check_spread([visit for one in series for visit in one.visits], request.limits)
    return make_profile(request.manifest, machine, series)


def _check_device(request: BenchRequest) -> None:
    """ONNX sessions run on the first CUDA device that the process sees."""
    kind, _, index = request.device.partition(":")
    if kind == "cuda" and int(index) > 0 and any(form.engine == ONNX for form in request.forms):
        raise MeasurementError(
            f"{request.device}: the onnx engine runs on cuda:0; with CUDA_VISIBLE_DEVICES={int(index)} that is this "
            "device, one process for each"
        )


def remove_journals(request: BenchRequest) -> None:
    """Delete what the run kept to go on from."""
    for form in request.forms:
        _journal_of(request, form).unlink(missing_ok=True)


def _journal_of(request: BenchRequest, form: Form) -> Path:
    return request.out.with_name(f"{request.out.name}.{form.name}.journal")


def layers_of(variant: VariantRecord, *, experts: int) -> Layers:
    """A variant as a sum of its layers."""
    return Layers.of(variant.top_k or (None,) * len(variant.layers), experts=experts)


def _positions(request: BenchRequest) -> int | None:
    """How many positions the model has, where its config says so."""
    node = read_document(request.family / request.manifest.variants[0].folder / CONFIG).get(POSITIONS)
    return None if node is None or node.value is None else node.integer(minimum=1)
