"""`trimoe fit-accuracy`: from measured settings to an accuracy model that predicts those of others."""

import sys
from pathlib import Path

import click

from profiles.commands.dataset_options import change_options, evidence_data_option
from profiles.commands.model_options import ModelOptions, model_options
from profiles.datasets.changes import Changes
from profiles.evidence.accuracy_model.settings import Design
from runtime.commands.needed_packages import needed_packages
from runtime.commands.option_group import option_group
from runtime.documents.atomic_file import write_atomically
from runtime.text.terminal import terminal_width

_design_options = option_group(
    "design",
    Design,
    click.option(
        "--settings",
        "count",
        type=click.IntRange(min=8),
        default=60,
        show_default=True,
        help="Settings to measure and fit to.",
    ),
    click.option(
        "--held-out",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Further settings, drawn by chance, that the model is tried on.",
    ),
    click.option(
        "--most-removed",
        type=click.IntRange(min=0),
        default=4,
        show_default=True,
        help="Blocks that a setting lacks at most.",
    ),
    click.option(
        "--top-k",
        "top_ks",
        multiple=True,
        type=click.IntRange(min=1),
        help="Experts per token that blocks after the first may use. Repeatable.  [default: the source's, ½, ¼]",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Of the draws."),
)


@click.command("fit-accuracy")
@click.argument("model", type=click.Path(path_type=Path))
@evidence_data_option
@_design_options
@model_options
@change_options
@click.option(
    "--work",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for what is measured; interrupted, the same command carries on from it.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("accuracy-model.json"),
    show_default=True,
    help="The accuracy model to write.",
)
def fit_accuracy(
    model: Path,
    data: tuple[str, ...],
    design: Design,
    running: ModelOptions,
    changes: Changes,
    work: Path,
    out: Path,
) -> None:
    """Measure settings of MODEL, a checkpoint folder: kept blocks and experts per token of each, chosen so that they
    teach the most; fit what removed blocks, pairs of them and fewer experts cost each data set; say how far off it is.

    `trimoe serve --elastic` and `trimoe suggest` read the result.
    """
    if not data:
        raise click.UsageError("give at least one --data, e.g. --data demo")
    with needed_packages("trimoe fit-accuracy", extras="profiles,cpu"):
        from profiles.datasets.splits import joined, load_splits
        from profiles.evidence.accuracy_model.build import build_model
        from profiles.evidence.accuracy_model.measured import request_of, scores_by
        from profiles.evidence.measuring.open_exams import open_exams
        from profiles.evidence.running.source_model import open_source_model
        from profiles.reports.accuracy_model_table import show_accuracy_model
        from profiles.reports.evidence.run_progress import RunProgress
        from runtime.documents.accuracy.accuracy_model import dump_accuracy_model

    splits = joined(load_splits(data, changes))
    source = open_source_model(model, device=running.device, threads=running.threads)
    with open_exams(source, splits, work, batch_size=running.batch_size) as exams:
        request = request_of(source, exams, design)
        fitted = build_model(request, scores_by(exams, source.dimensions, RunProgress(sys.stderr)))
    write_atomically(out, dump_accuracy_model(fitted))
    click.echo(show_accuracy_model(fitted, width=terminal_width(sys.stdout)), nl=False)
