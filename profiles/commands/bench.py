"""`trimoe bench`: how long a family's variants take on this machine, stage by stage; or two such profiles compared."""

import sys
from dataclasses import dataclass
from pathlib import Path

import click

from profiles.latency.bench.presets import PRESETS
from runtime.commands.needed_packages import needed_packages
from runtime.commands.option_group import option_group
from runtime.commands.prepared_option import prepared_option
from runtime.documents.atomic_file import write_atomically
from runtime.documents.baseline import ENGINES
from runtime.documents.checked_json import dump_document
from runtime.documents.latency.profile_document import dump_profile, read_profile
from runtime.documents.manifest import read_manifest
from runtime.engines.prepared.forms import PreparedForms
from runtime.text.terminal import terminal_width

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
ALL = "all"


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineOptions:
    """What runs the variants: a device, an engine or ALL, dtypes of ONNX graphs (none: all), threads (None: one for
    each processor), where packed weights are (None: nowhere)."""

    device: str
    engine: str
    dtypes: tuple[str, ...]
    threads: int | None
    prepared: PreparedForms | None


@dataclass(frozen=True, kw_only=True, slots=True)
class EffortOptions:
    """What is visited and how often: variants, a grid, minutes (None: as long as it takes), when a time is known, and
    how much repeats may differ."""

    variants: tuple[str, ...]
    grid: str
    budget_minutes: float | None
    relative_error: float
    repeats: int
    spread_limit: float


def _device(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    kind, colon, index = value.partition(":")
    if value != "cpu" and not (kind == "cuda" and colon and index.isdecimal() and len(index) < 4):
        raise click.BadParameter(f"{value!r} is neither cpu nor cuda:N")
    return value


def _preset(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    """Make the preset's values the defaults of the other options."""
    if value is not None:
        context.default_map = {**(context.default_map or {}), **PRESETS[value]}


_engine_options = option_group(
    "engine",
    EngineOptions,
    click.option("--device", default="cpu", show_default=True, callback=_device, help="cpu or cuda:N."),
    click.option(
        "--engine",
        type=click.Choice((*ENGINES, ALL)),
        default=ALL,
        show_default=True,
        help="What runs the variants.",
    ),
    click.option(
        "--dtype",
        "dtypes",
        multiple=True,
        help="Which ONNX graphs to run; the torch engine has the checkpoint's dtype. Repeatable.  [default: all]",
    ),
    click.option(
        "--threads", type=click.IntRange(min=1, max=4096), help="Threads of the engine  [default: one a processor]"
    ),
    prepared_option,
)

_effort_options = option_group(
    "effort",
    EffortOptions,
    click.option("--variant", "variants", multiple=True, help="Measure only this variant. Repeatable.  [default: all]"),
    click.option(
        "--grid",
        default="",
        metavar="'batch=… image=… text=…'",
        help="Batch sizes, image sizes in pixels, tokens of text, e.g. 'batch=1,4 image=none,336x336 text=16,64'; what "
        "is left out has its default: batches of 1, 2 and 4, images of one crop, a few and the most, 16 to 256 tokens.",
    ),
    click.option(
        "--budget-minutes",
        type=click.FloatRange(min=0, min_open=True),
        help="End after so long, with what teaches an estimator most visited first  [default: visit everything]",
    ),
    click.option(
        "--relative-error",
        type=click.FloatRange(min=0.001, max=1),
        default=0.015,
        show_default=True,
        help="Repeat until each median is known as well as this.",
    ),
    click.option(
        "--repeats", type=click.IntRange(min=3), default=30, show_default=True, help="Repeat no oftener than this."
    ),
    click.option(
        "--spread-limit",
        type=click.FloatRange(min=0, min_open=True),
        default=0.25,
        show_default=True,
        help="Refuse a machine on which repeats differ by more than this share.",
    ),
)


@click.command()
@click.argument("family", type=click.Path(path_type=Path, exists=True, file_okay=False), required=False)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="The latency profile to write.")
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    is_eager=True,
    expose_value=False,
    callback=_preset,
    help="The pruning study's grid on that accelerator, in under 30 minutes; other options still hold.",
)
@_engine_options
@_effort_options
@click.option("--compare", type=FILE, nargs=2, metavar="A B", help="Compare two profiles instead of measuring.")
@click.option("--json", "as_json", is_flag=True, help="Print the profile, or the comparison, as a JSON document.")
def bench(
    family: Path | None,
    out: Path | None,
    engine: EngineOptions,
    effort: EffortOptions,
    compare: tuple[Path, Path] | None,
    as_json: bool,
) -> None:
    """Measure how long FAMILY's variants take on this machine, stage by stage.

    Writes a latency profile: time to first token by stage, and the time of each further token. Interrupted, the same
    command carries on where it was.
    """
    if compare is not None:
        if family is not None or out is not None:
            raise click.UsageError("--compare takes two profiles, and no FAMILY or --out")
        _show_comparison(*compare, as_json=as_json)
        return
    if family is None or out is None:
        raise click.UsageError("give FAMILY and --out, or --compare A B")
    _measure(family, out, engine, effort, as_json=as_json)


def _measure(family: Path, out: Path, engine: EngineOptions, effort: EffortOptions, *, as_json: bool) -> None:
    manifest = read_manifest(family)
    chosen = tuple(dict.fromkeys(manifest.variant(name).id for name in effort.variants))
    with needed_packages("trimoe bench", extras="profiles,cpu"):
        from profiles.latency.bench.bench import BenchRequest, remove_journals
        from profiles.latency.bench.bench import bench as run
        from profiles.latency.bench.forms import find_forms
        from profiles.latency.bench.machine import processors
        from profiles.latency.bench.run import Limits
        from profiles.reports.bench_progress import BenchProgress
        from profiles.reports.latency_table import show_profile

    limits = Limits(
        least=min(5, effort.repeats),
        most=effort.repeats,
        relative_error=effort.relative_error,
        spread=effort.spread_limit,
    )
    forms = find_forms(manifest, engine=engine.engine, dtypes=engine.dtypes)
    request = BenchRequest(
        family=family,
        manifest=manifest,
        forms=forms,
        variants=chosen or tuple(variant.id for variant in manifest.variants),
        device=engine.device,
        threads=engine.threads or len(processors()),
        prepared=engine.prepared,
        grid=effort.grid,
        limits=limits,
        form_budget_s=None if effort.budget_minutes is None else 60 * effort.budget_minutes / len(forms),
        out=out,
    )
    progress = BenchProgress(sys.stderr, request.form_budget_s)
    try:
        profile = run(request, progress)
    finally:
        progress.finish()
    write_atomically(out, dump_profile(profile))
    remove_journals(request)
    shown = dump_profile(profile).decode() if as_json else show_profile(profile, width=terminal_width(sys.stdout))
    click.echo(shown, nl=False)


def _show_comparison(first: Path, second: Path, *, as_json: bool) -> None:
    with needed_packages("trimoe bench", extras="profiles,cpu"):
        from profiles.latency.compare import compare_profiles, comparison_document
        from profiles.reports.comparison_table import show_comparison

    found = compare_profiles(read_profile(first), read_profile(second))
    width = terminal_width(sys.stdout)
    shown = dump_document(comparison_document(found)).decode() if as_json else show_comparison(found, width=width)
    click.echo(shown, nl=False)
