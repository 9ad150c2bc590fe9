"""`trimoe search`: which blocks of a model data sets miss least."""

import sys
from dataclasses import dataclass
from pathlib import Path

import click

from profiles.commands.dataset_options import change_options, evidence_data_option
from profiles.commands.model_options import ModelOptions, model_options
from profiles.datasets.changes import Changes
from runtime.commands.needed_packages import needed_packages
from runtime.commands.option_group import option_group
from runtime.text.terminal import terminal_width


@dataclass(frozen=True, kw_only=True, slots=True)
class BeamOptions:
    """How wide and deep to search, among which blocks (none named: all), and whether one beam serves all data sets."""

    width: int
    most_removed: int
    candidates: tuple[int, ...]
    together: bool


_beam_options = option_group(
    "beam",
    BeamOptions,
    click.option("--width", type=click.IntRange(min=1), default=3, show_default=True, help="Sets kept of each step."),
    click.option(
        "--depth",
        "most_removed",
        type=click.IntRange(min=1),
        default=4,
        show_default=True,
        help="Blocks removed at most.",
    ),
    click.option(
        "--candidate", "candidates", multiple=True, type=int, help="A block that may go. Repeatable.  [default: all]"
    ),
    click.option("--together", is_flag=True, help="One beam for all data sets: each set is measured on all of them."),
)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@evidence_data_option
@_beam_options
@model_options
@change_options
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder of the evidence: DATASET/SPLIT/exp3_accuracy_sensitivity_v2_results.json.",
)
def search(
    model: Path,
    data: tuple[str, ...],
    beam: BeamOptions,
    running: ModelOptions,
    changes: Changes,
    out: Path,
) -> None:
    """Search for the blocks of MODEL, a checkpoint folder, that data sets miss least: beam search over removed blocks,
    block 0 kept. Splits of one data set are measured together.

    Interrupted, the same command carries on where it was.
    """
    if not data:
        raise click.UsageError("give at least one --data, e.g. --data demo")
    with needed_packages("trimoe search", extras="profiles,cpu"):
        from profiles.datasets.splits import joined, load_splits
        from profiles.evidence.measuring.open_exams import open_exams
        from profiles.evidence.running.source_model import open_source_model
        from profiles.evidence.searching.beam_search import Beam, all_candidates
        from profiles.evidence.searching.search import expected_seconds, search_each, search_together
        from profiles.reports.run_progress import RunProgress, show_seconds
        from profiles.reports.search_table import show_search

    splits = joined(load_splits(data, changes))
    source = open_source_model(model, device=running.device, threads=running.threads)
    try:
        chosen = Beam(
            blocks=source.blocks,
            width=beam.width,
            most_removed=beam.most_removed,
            candidates=tuple(sorted(set(beam.candidates))) or all_candidates(source.blocks),
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    with open_exams(source, splits, out, batch_size=running.batch_size) as exams:
        expected = expected_seconds(exams, chosen)
        if expected is not None:
            click.echo(
                f"up to {chosen.most_removed} blocks on {len(exams)} data sets: about {show_seconds(expected)}",
                err=True,
            )
        found = (search_together if beam.together else search_each)(exams, chosen, out, RunProgress(sys.stderr))
    click.echo(show_search(found, width=terminal_width(sys.stdout)), nl=False)
