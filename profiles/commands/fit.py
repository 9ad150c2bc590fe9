"""`trimoe fit`: from measured times to an estimator that predicts those of other variants, lengths and batches."""

import sys
from pathlib import Path

import click

from runtime.commands.needed_packages import needed_packages
from runtime.documents.atomic_file import write_atomically
from runtime.documents.latency.estimator_document import dump_estimator, read_estimator
from runtime.text.terminal import terminal_width

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.argument("profiles", metavar="PROFILE...", type=FILE, nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The estimator to write.")
@click.option("--from", "old", type=FILE, help="Recalibrate this estimator, of another device, with the PROFILEs.")
@click.option("--engine", help="Fit the times of this engine  [default: the only one]")
@click.option("--dtype", help="Fit the times of this type of weights  [default: the only one]")
@click.option(
    "--level",
    type=click.FloatRange(0.5, 0.999),
    default=0.9,
    show_default=True,
    help="How often the upper bounds are to hold.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the estimator as a JSON document.")
def fit(
    profiles: tuple[Path, ...],
    out: Path,
    old: Path | None,
    engine: str | None,
    dtype: str | None,
    level: float,
    as_json: bool,
) -> None:
    """Fit a latency estimator to PROFILEs of one device, or to the pruning study's files of runs.

    Prints its errors on variants, lengths and batches that were left out of the fit, and how often its bounds held.
    """
    with needed_packages("trimoe fit", extras="profiles,cpu"):
        from profiles.latency.fit.estimator import fit_estimator
        from profiles.latency.fit.sources import read_measured
        from profiles.latency.fit.transfer import transfer
        from profiles.reports.latency_table import show_estimator, show_transfer

    measured, width = read_measured(profiles, engine=engine, dtype=dtype), terminal_width(sys.stdout)
    if old is None:
        estimator = fit_estimator(measured.observations, measured.subject, level=level)
        text = show_estimator(estimator, width=width)
    else:
        found = transfer(read_estimator(old), measured.observations, measured.subject, level=level)
        estimator, text = found.estimator, show_transfer(found, width=width)
    data = dump_estimator(estimator)
    write_atomically(out, data)
    click.echo(data.decode() if as_json else text, nl=False)
