"""`python -m profiles.benchmarks eval`: how much faster evaluation in batches is than one sample at a time."""

from pathlib import Path

import click

from profiles.commands.dataset_options import dataset_option
from runtime.documents.baseline import ENGINES
from runtime.documents.checked_json import dump_document
from runtime.documents.manifest import read_manifest


@click.command("eval")
@click.argument("family", type=click.Path(path_type=Path, exists=True, file_okay=False))
@dataset_option
@click.option("--variant", help="The variant to run  [default: the first]")
@click.option("--engine", type=click.Choice(ENGINES), default="torch", show_default=True, help="What runs it.")
@click.option("--dtype", default="float32", show_default=True, help="Which ONNX graphs to run.")
@click.option(
    "--batch",
    "batch_size",
    type=click.IntRange(min=2),
    default=32,
    show_default=True,
    help="Samples generated together.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    metavar="N",
    help="Samples of each data set, evenly spaced.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Rounds of both in turn; the median counts.",
)
@click.option(
    "--threads", type=click.IntRange(min=1), help="Threads of the engine on the CPU  [default: its own choice]"
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as a JSON document.")
def bench_eval(
    family: Path,
    data: tuple[str, ...],
    variant: str | None,
    engine: str,
    dtype: str,
    batch_size: int,
    limit: int,
    rounds: int,
    threads: int | None,
    as_json: bool,
) -> None:
    """Measure how fast FAMILY's variant answers data sets (the demo's without --data), in batches and one sample at a
    time.

    Exits with 1 when batches over all data sets are less than five times as fast, or when an answer differs.
    """
    manifest = read_manifest(family)
    chosen = manifest.variants[0].id if variant is None else manifest.variant(variant).id
    from profiles.accuracy.answerer import open_answerers
    from profiles.benchmarks.evaluation import TARGET, whole_rate
    from profiles.benchmarks.evaluation import bench_eval as measure
    from profiles.datasets.named import DEMO, Changes, load_named  # numpy

    datasets = load_named(data or (DEMO,), Changes(limit=limit))
    ((_, opener),) = open_answerers((engine,), family, manifest, dtypes=(dtype,), threads=threads)
    opened = opener(chosen)
    kind, software = opened.dtype, dict(opened.software)
    try:
        rates = measure(
            opened, datasets, batch_size=batch_size, rounds=rounds, say=lambda line: click.echo(line, err=True)
        )
    finally:
        opened.close()
    rows = (*rates, whole_rate(rates))
    met = rows[-1].ratio >= TARGET
    if as_json:
        figures = [
            {
                "dataset": r.dataset,
                "samples": r.samples,
                "batch_size": r.batch_size,
                "alone_s": r.alone_s,
                "batched_s": r.batched_s,
                "ratio": r.ratio,
                "same": r.same,
            }
            for r in rows
        ]
        settings = {"variant": chosen, "engine": engine, "dtype": kind, "batch_size": batch_size, "rounds": rounds}
        document = {**settings, "software": software, "target": TARGET, "met": met, "figures": figures}
        click.echo(dump_document(document).decode(), nl=False)
    else:
        click.echo(f"{chosen}, {engine}, {kind}, median of {rounds}")
        click.echo(
            f"{'samples/s':<22}{'1 at a time':>12}{f'{rows[-1].batch_size} at a time':>14}"
            f"{'ratio':>8}{'same answers':>16}"
        )
        for row in rows:
            alone, batched = row.samples / row.alone_s, row.samples / row.batched_s
            click.echo(
                f"{row.dataset:<22}{alone:>12.1f}{batched:>14.1f}{row.ratio:>8.2f}{f'{row.same} of {row.samples}':>16}"
            )
        for row in rows[:-1]:
            if row.batch_size < batch_size:
                click.echo(
                    f"{row.dataset} has {row.samples} samples measured: its batches are of {row.batch_size}, not "
                    f"{batch_size}"
                )
        click.echo(f"target ≥ {TARGET:g}: {'met' if met else 'MISSED'}")
    if not met or rows[-1].same != rows[-1].samples:
        click.get_current_context().exit(1)
