"""`trimoe recommend`: which blocks to remove, from a study's searches over several data sets."""

import sys
from pathlib import Path

import click

from profiles.commands.evidence.study_options import RESULTS, StudyOptions, study_options
from runtime.commands.needed_packages import needed_packages
from runtime.documents.atomic_file import write_atomically
from runtime.documents.checked_json import dump_document
from runtime.text.terminal import terminal_width

STRATEGIES = ("stepwise", "independent", "robust", "estimated")


@click.command()
@click.argument("results", type=RESULTS)
@study_options
@click.option(
    "--strategy",
    type=click.Choice(STRATEGIES),
    default=STRATEGIES[0],
    show_default=True,
    help="Which rule's sets pruning_recommendations.json gets.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write cross_dataset_analysis.json and pruning_recommendations.json to.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the recommendations as a JSON document.")
def recommend(results: Path, options: StudyOptions, strategy: str, out: Path | None, as_json: bool) -> None:
    """Recommend blocks to remove from RESULTS: a folder of searches, <dataset>/<split>/exp3_…_results.json, or a
    cross_dataset_analysis.json.

    The best five of each size, step by step, robust, undominated in drop, spread and number of data sets, and the least
    estimated drop over all data sets, with what speaks against each.
    """
    with needed_packages("trimoe recommend", extras="profiles"):
        from profiles.evidence.combining.analysis import ANALYSIS_FILE, analysis_document
        from profiles.evidence.combining.recommend import RECOMMENDATIONS_FILE, Settings, recommendations_document
        from profiles.evidence.combining.recommend import recommend as find
        from profiles.evidence.combining.study import read_study
        from profiles.reports.evidence.recommendation_table import recommended_fields, show_recommended

    study = read_study(results, blocks=options.blocks, split=options.split)
    found = find(study, Settings(protected=options.protected, min_datasets=options.min_datasets))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(out / ANALYSIS_FILE, dump_document(analysis_document(study)))
        sets = recommendations_document(found.chosen[strategy])
        write_atomically(out / RECOMMENDATIONS_FILE, dump_document(sets))
    if as_json:
        click.echo(dump_document(recommended_fields(found)).decode(), nl=False)
    else:
        click.echo(show_recommended(found, width=terminal_width(sys.stdout)), nl=False)
