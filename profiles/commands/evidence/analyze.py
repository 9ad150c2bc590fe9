"""`trimoe analyze`: a pruning study's results from all sides, as pictures, one page, text and documents."""

from pathlib import Path

import click

from profiles.commands.evidence.recommend import STRATEGIES
from profiles.commands.evidence.study_options import RESULTS, StudyOptions, study_options
from runtime.commands.needed_packages import needed_packages


@click.command()
@click.argument("results", type=RESULTS)
@study_options
@click.option(
    "--task", "tasks", metavar="NAME=TYPE", multiple=True, help="The task type of a data set; may be repeated."
)
@click.option(
    "--strategy",
    type=click.Choice(STRATEGIES),
    default=STRATEGIES[0],
    show_default=True,
    help="Which rule's sets the recommendations and configurations get.",
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="The folder to write everything to."
)
def analyze(results: Path, options: StudyOptions, tasks: tuple[str, ...], strategy: str, out: Path) -> None:
    """Show what RESULTS hold: a folder of searches, <dataset>/<split>/exp3_…_results.json, or a
    cross_dataset_analysis.json.

    Rankings, estimates, task types, positions, combinations against their parts, consistency, data sets alone and in
    pairs, distributions, train against validation: each as SVG and PNG, and all in report.html. Prints the files
    written.
    """
    with needed_packages("trimoe analyze", extras="profiles"):
        from profiles.evidence.combining.recommend import Settings
        from profiles.evidence.combining.study import read_study
        from profiles.evidence.comparing.overview import look_over
        from profiles.reports.evidence.study_report import write_study_report

    given = dict(_named(task) for task in tasks)
    study = read_study(results, blocks=options.blocks, split=options.split)
    settings = Settings(protected=options.protected, min_datasets=options.min_datasets)
    for path in write_study_report(look_over(study, settings, types=given), out, strategy=strategy):
        click.echo(path)


def _named(text: str) -> tuple[str, str]:
    name, equals, kind = text.partition("=")
    if not (name and equals and kind):
        raise click.UsageError(f"--task {text}: give NAME=TYPE, such as okvqa=vqa")
    return name, kind
