"""`trimoe merge`: importance of blocks on several data sets as one ranking."""

import sys
from pathlib import Path

import click

from runtime.commands.needed_packages import needed_packages
from runtime.documents.atomic_file import write_atomically
from runtime.documents.checked_json import dump_document
from runtime.text.terminal import terminal_width

METHODS = ("average", "weighted_avg", "median")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--method", type=click.Choice(METHODS), default=METHODS[0], show_default=True, help="Over data sets.")
@click.option(
    "--dataset-weights",
    "weights",
    metavar="NAME=W,…",
    help="For weighted_avg: a weight for each data set, or as many numbers in the order of their names.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The full file; beside it is written *_simple.json, the scores alone.",
)
def merge(folder: Path, method: str, weights: str | None, out: Path) -> None:
    """Merge the importance of blocks in FOLDER, which has the study's layout: comparisons of train and validation, or
    sensitivities of single blocks as `trimoe importance` writes them.

    Per data set 0.6 of train and 0.4 of validation, then one score over all. Data sets that disagree are warned of.
    """
    with needed_packages("trimoe merge", extras="profiles"):
        from profiles.evidence.merging.merge import full_document, parse_weights, simple_document
        from profiles.evidence.merging.merge import merge as merge_scores
        from profiles.evidence.merging.study_tree import read_tree
        from profiles.reports.evidence.merge_table import show_merged

    if (method == "weighted_avg") != (weights is not None):
        raise click.UsageError("--dataset-weights and --method weighted_avg belong together")
    found = read_tree(folder)
    try:
        chosen = None if weights is None else parse_weights(weights, list(found))
    except ValueError as error:
        raise click.UsageError(f"--dataset-weights: {error}") from error
    merged = merge_scores(found, method=method, weights=chosen)
    write_atomically(out.with_name(f"{out.stem}_simple.json"), dump_document(simple_document(merged)))
    write_atomically(out, dump_document(full_document(merged)))
    click.echo(show_merged(merged, width=terminal_width(sys.stdout)), nl=False)
    for warning in merged.warnings:
        click.echo(f"warning: {warning}", err=True)
