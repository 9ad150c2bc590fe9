"""`python -m profiles.benchmarks eval`: how much faster evaluation in batches is than one sample at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from profiles.commands.dataset_options import dataset_option
from profiles.datasets.changes import Changes
from runtime.commands.needed_packages import needed_packages
from runtime.commands.option_group import option_group
from runtime.documents.baseline import ENGINES
from runtime.documents.checked_json import dump_document
from runtime.documents.manifest import read_manifest

if TYPE_CHECKING:
    from profiles.benchmarks.evaluation import EvalRate


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineOptions:
    """What runs the variant: an engine, the dtype of ONNX graphs, threads (None: the engine's own choice)."""

    engine: str
    dtype: str
    threads: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SizeOptions:
    """How much is measured: samples of each data set, samples a batch, rounds."""

    limit: int
    batch_size: int
    rounds: int


_engine_options = option_group(
    "engine",
    EngineOptions,
    click.option("--engine", type=click.Choice(ENGINES), default="torch", show_default=True, help="What runs it."),
    click.option("--dtype", default="float32", show_default=True, help="Which ONNX graphs to run."),
    click.option(
        "--threads", type=click.IntRange(min=1), help="Threads of the engine on the CPU  [default: its own choice]"
    ),
)

_size_options = option_group(
    "size",
    SizeOptions,
    click.option(
        "--batch",
        "batch_size",
        type=click.IntRange(min=2),
        default=32,
        show_default=True,
        help="Samples generated together.",
    ),
    click.option(
        "--limit",
        type=click.IntRange(min=1),
        default=64,
        show_default=True,
        metavar="N",
        help="Samples of each data set, evenly spaced.",
    ),
    click.option(
        "--rounds",
        type=click.IntRange(min=1),
        default=3,
        show_default=True,
        help="Rounds of both in turn; the median counts.",
    ),
)


@click.command("eval", short_help="Batches against one sample at a time.")
@click.argument("family", type=click.Path(path_type=Path, exists=True, file_okay=False))
@dataset_option
@click.option("--variant", help="The variant to run  [default: the first]")
@_engine_options
@_size_options
@click.option("--json", "as_json", is_flag=True, help="Print the figures as a JSON document.")
@click.pass_context
def bench_eval(
    context: click.Context,
    family: Path,
    data: tuple[str, ...],
    variant: str | None,
    engine: EngineOptions,
    size: SizeOptions,
    as_json: bool,
) -> None:
    """Measure how fast FAMILY's variant answers data sets (the demo's without --data), in batches and one sample at a
    time.

    Exits with 1 when batches over all data sets are less than five times as fast, or when an answer differs.
    """
    manifest = read_manifest(family)
    chosen = manifest.variants[0].id if variant is None else manifest.variant(variant).id
    with needed_packages("this benchmark", extras="profiles,cpu"):
        from profiles.accuracy.answerer import open_answerers
        from profiles.benchmarks.evaluation import TARGET, whole_rate
        from profiles.benchmarks.evaluation import bench_eval as measure
        from profiles.datasets.named import DEMO, load_named
        from runtime.engines.settings import EngineSettings

    datasets = load_named(data or (DEMO,), Changes(limit=size.limit))
    ((_, opener),) = open_answerers(
        (engine.engine,), family, manifest, dtypes=(engine.dtype,), settings=EngineSettings(threads=engine.threads)
    )
    opened = opener(chosen)
    settings: dict[str, Any] = {"variant": chosen, "engine": engine.engine, "dtype": opened.dtype}
    settings |= {"batch_size": size.batch_size, "rounds": size.rounds, "software": dict(opened.software)}
    try:
        say = partial(click.echo, err=True)
        rates = measure(opened, datasets, batch_size=size.batch_size, rounds=size.rounds, say=say)
    finally:
        opened.close()
    rows = (*rates, whole_rate(rates))
    settings |= {"target": TARGET, "met": rows[-1].ratio >= TARGET}
    if as_json:
        document = {**settings, "figures": [_figures(row) for row in rows]}
        click.echo(dump_document(document).decode(), nl=False)
    else:
        click.echo(_table(rows, settings))
    if not settings["met"] or rows[-1].same != rows[-1].samples:
        context.exit(1)


def _figures(row: "EvalRate") -> dict[str, Any]:
    return {
        "dataset": row.dataset,
        "samples": row.samples,
        "batch_size": row.batch_size,
        "alone_s": row.alone_s,
        "batched_s": row.batched_s,
        "ratio": row.ratio,
        "same": row.same,
    }


def _table(rows: "Sequence[EvalRate]", settings: Mapping[str, Any]) -> str:
    """A row a data set, then all of them, at most 80 columns for names of ordinary length; then a line for each data
    set that fills no batch, and whether the target is met."""
    head = f"{f'{rows[-1].batch_size} at a time':>14}{'ratio':>8}{'same answers':>16}"
    lines = [
        f"{settings['variant']}, {settings['engine']}, {settings['dtype']}, median of {settings['rounds']}",
        f"{'samples/s':<22}{'1 at a time':>12}{head}",
    ]
    for row in rows:
        alone, batched = row.samples / row.alone_s, row.samples / row.batched_s
        same = f"{row.same} of {row.samples}"
        lines.append(f"{row.dataset:<22}{alone:>12.1f}{batched:>14.1f}{row.ratio:>8.2f}{same:>16}")
    wanted = settings["batch_size"]
    lines += [
        f"{row.dataset} has {row.samples} samples measured: its batches are of {row.batch_size}, not {wanted}"
        for row in rows[:-1]
        if row.batch_size < wanted
    ]
    return "\n".join((*lines, f"target ≥ {settings['target']:g}: {'met' if settings['met'] else 'MISSED'}"))
