"""`trimoe report`: pictures of latency profiles, and one page with all of them."""

from pathlib import Path

import click

from runtime.commands.needed_packages import needed_packages

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("profiles", metavar="PROFILE...", type=FILE, nargs=-1, required=True)
@click.option(
    "--estimator", "estimators", type=FILE, multiple=True, help="What predicts; one for each engine and type."
)
@click.option("--baseline", "baselines", type=FILE, multiple=True, help="The accuracy of a profile's variants.")
@click.option(
    "--family", "families", type=FOLDER, multiple=True, help="A profile's family, for the shapes of its weights."
)
@click.option("--out", type=FOLDER, required=True, help="The folder to write the pictures and report.html to.")
def report(
    profiles: tuple[Path, ...],
    estimators: tuple[Path, ...],
    baselines: tuple[Path, ...],
    families: tuple[Path, ...],
    out: Path,
) -> None:
    """Draw what latency PROFILEs hold: latency against depth and experts per token, and drift over the run.

    With an estimator also predicted against measured times and residuals by variant, with a baseline the
    latency-accuracy frontier, with the family the roofline position of each stage. Prints the files written.
    """
    with needed_packages("trimoe report", extras="profiles"):
        from profiles.reports.latency.inputs import read_subjects
        from profiles.reports.latency_report import write_report

    subjects = read_subjects(profiles, estimators=estimators, baselines=baselines, families=families)
    for path in write_report(subjects, out):
        click.echo(path)
