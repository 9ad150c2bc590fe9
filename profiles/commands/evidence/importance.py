"""`trimoe importance`: what each block of a model is worth to data sets."""

import sys
from pathlib import Path

import click

from profiles.commands.dataset_options import change_options, evidence_data_option
from profiles.commands.model_options import ModelOptions, model_options
from profiles.datasets.changes import Changes
from runtime.commands.needed_packages import needed_packages
from runtime.text.terminal import terminal_width


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@evidence_data_option
@click.option("--block", "blocks", multiple=True, type=int, help="Measure only this block. Repeatable.  [default: all]")
@click.option("--influence-only", is_flag=True, help="Only what one forward pass tells: block influence.")
@model_options
@change_options
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder of the evidence: DATASET/SPLIT/sensitivity_block_N.json.",
)
def importance(
    model: Path,
    data: tuple[str, ...],
    blocks: tuple[int, ...],
    influence_only: bool,
    running: ModelOptions,
    changes: Changes,
    out: Path,
) -> None:
    """Measure what each block of MODEL, a checkpoint folder, is worth: how much accuracy each split of each data set
    loses when it alone is skipped, and how much it turns what passes through it (influence).

    Interrupted, the same command carries on where it was.
    """
    if not data:
        raise click.UsageError("give at least one --data, e.g. --data demo")
    with needed_packages("trimoe importance", extras="profiles,cpu"):
        from profiles.datasets.splits import load_splits
        from profiles.evidence.measuring.importance_pass import chosen_blocks, expected_seconds, measure_importance
        from profiles.evidence.measuring.open_exams import open_exams
        from profiles.evidence.running.source_model import open_source_model
        from profiles.reports.evidence.importance_table import show_importance
        from profiles.reports.evidence.run_progress import RunProgress, show_seconds

    splits = load_splits(data, changes)
    source = open_source_model(model, device=running.device, threads=running.threads)
    chosen = () if influence_only else chosen_blocks(blocks, source.blocks)
    with open_exams(source, splits, out, batch_size=running.batch_size) as exams:
        expected = None if influence_only else expected_seconds(exams, chosen, source.blocks)
        if expected is not None:
            click.echo(f"{len(chosen)} blocks on {len(exams)} splits: about {show_seconds(expected)}", err=True)
        found = measure_importance(exams, chosen, out, RunProgress(sys.stderr))
    click.echo(show_importance(found, width=terminal_width(sys.stdout)), nl=False)
