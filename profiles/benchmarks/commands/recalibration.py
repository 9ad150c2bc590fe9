"""`python -m profiles.benchmarks recalibration`: an estimator carried over to other conditions with a few cells."""

import statistics
from pathlib import Path

import click

from runtime.commands.needed_packages import needed_packages

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
TARGET = 0.08


@click.command("recalibration", short_help="An estimator carried over with a few cells.")
@click.argument("profile", type=FILE)
@click.argument("other", type=FILE)
@click.option("--engine", help="Use the times of this engine  [default: the only one]")
@click.option("--dtype", help="Use the times of this type of weights  [default: the only one]")
@click.option("--cells", type=click.IntRange(min=10), default=25, show_default=True, help="Cells of OTHER to use.")
@click.option("--repeats", type=click.IntRange(min=1), default=10, show_default=True, help="Draws of these cells.")
def bench_recalibration(
    profile: Path, other: Path, engine: str | None, dtype: str | None, cells: int, repeats: int
) -> None:
    """Fit to PROFILE, recalibrate with a few cells of OTHER, another device or other conditions, and predict the rest.

    Exits with 1 when the error of whole answers stays above the target.
    """
    with needed_packages("this benchmark", extras="profiles,cpu"):
        from profiles.benchmarks.recalibration import recalibrate
        from profiles.latency.fit.sources import read_measured

    old, new = (read_measured([one], engine=engine, dtype=dtype) for one in (profile, other))
    try:
        found = recalibrate(old, new, cells=cells, repeats=repeats)
    except ValueError as error:
        raise click.UsageError(f"{other}: {error}") from error
    before, after = (statistics.median(values) for values in zip(*((o.before, o.after) for o in found), strict=True))
    verdict = "met" if after <= TARGET else "MISSED"
    click.echo(f"error of whole answers on cells left out, median of {repeats} draws of {cells}")
    click.echo(f"before {100 * before:.1f} %, after {100 * after:.1f} %; target \u2264 {100 * TARGET:g} %  {verdict}")
    if after > TARGET:
        click.get_current_context().exit(1)
