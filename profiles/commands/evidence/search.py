"""`trimoe search`: which blocks of a model data sets miss least, and, with --top-k, how many experts each needs."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from profiles.commands.dataset_options import change_options, evidence_data_option
from profiles.commands.model_options import ModelOptions, model_options
from profiles.datasets.changes import Changes
from runtime.commands.needed_packages import needed_packages
from runtime.commands.option_group import option_group
from runtime.documents.atomic_file import write_atomically
from runtime.text.terminal import terminal_width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profiles.evidence.measuring.exam import Exam
    from profiles.evidence.running.source_model import SourceModel


@dataclass(frozen=True, kw_only=True, slots=True)
class BeamOptions:
    """How wide and deep to search, among which blocks (none named: all), and whether one beam serves all data sets."""

    width: int
    most_removed: int
    candidates: tuple[int, ...]
    together: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class JointOptions:
    """Numbers of experts to try (none: only blocks are removed), rounds and new cuts in each, and what says what a cut
    costs (None: active parameters)."""

    top_ks: tuple[int, ...]
    rounds: int
    each: int
    estimator: Path | None


def _numbers(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...]:
    parts = [] if text is None else text.split(",")
    if not all(part.strip().isascii() and part.strip().isdigit() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"{text!r} is no list of numbers such as 4,2,1", context, parameter)
    return tuple(sorted({int(part) for part in parts}, reverse=True))


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

_joint_options = option_group(
    "joint",
    JointOptions,
    click.option(
        "--top-k",
        "top_ks",
        callback=_numbers,
        metavar="K,K,…",
        help="Search jointly for blocks to remove and for one of these numbers of experts in every other block.",
    ),
    click.option("--rounds", type=click.IntRange(min=1), default=4, show_default=True, help="Rounds with --top-k."),
    click.option("--each", type=click.IntRange(min=1), default=16, show_default=True, help="New cuts a round."),
    click.option(
        "--estimator",
        type=click.Path(path_type=Path, dir_okay=False, exists=True),
        help="With --top-k, what says what a cut costs, in ms  [default: active parameters]",
    ),
)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@evidence_data_option
@_beam_options
@_joint_options
@model_options
@change_options
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder of the evidence: DATASET/SPLIT/exp3_accuracy_sensitivity_v2_results.json, or joint_search.json and "
    "its picture.",
)
def search(
    model: Path,
    data: tuple[str, ...],
    beam: BeamOptions,
    joint: JointOptions,
    running: ModelOptions,
    changes: Changes,
    out: Path,
) -> None:
    """Search for the blocks of MODEL, a checkpoint folder, that data sets miss least: beam search over removed blocks,
    block 0 kept. Splits of one data set are measured together.

    With --top-k also for the experts that every other block needs, on all data sets together: the best accuracy at each
    cost. Interrupted, the same command carries on where it was.
    """
    if not data:
        raise click.UsageError("give at least one --data, e.g. --data demo")
    with needed_packages("trimoe search", extras="profiles,cpu"):
        from profiles.datasets.splits import joined, load_splits
        from profiles.evidence.measuring.open_exams import open_exams
        from profiles.evidence.running.source_model import open_source_model

    splits = joined(load_splits(data, changes))
    source = open_source_model(model, device=running.device, threads=running.threads)
    with open_exams(source, splits, out, batch_size=running.batch_size) as exams:
        if joint.top_ks:
            shown = _joint(source, exams, joint, out, most_removed=beam.most_removed)
        else:
            shown = _beam(source, exams, beam, out)
    click.echo(shown, nl=False)


def _beam(source: "SourceModel", exams: "Sequence[Exam]", options: BeamOptions, out: Path) -> str:
    from profiles.evidence.searching.beam_search import Beam, all_candidates
    from profiles.evidence.searching.search import expected_seconds, search_each, search_together
    from profiles.reports.evidence.run_progress import RunProgress, show_seconds
    from profiles.reports.evidence.search_table import show_search

    try:
        beam = Beam(
            blocks=source.blocks,
            width=options.width,
            most_removed=options.most_removed,
            candidates=tuple(sorted(set(options.candidates))) or all_candidates(source.blocks),
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    expected = expected_seconds(exams, beam)
    if expected is not None:
        told = f"up to {beam.most_removed} blocks on {len(exams)} data sets: about {show_seconds(expected)}"
        click.echo(told, err=True)
    found = (search_together if options.together else search_each)(exams, beam, out, RunProgress(sys.stderr))
    return show_search(found, width=terminal_width(sys.stdout))


def _joint(
    source: "SourceModel", exams: "Sequence[Exam]", options: JointOptions, out: Path, *, most_removed: int
) -> str:
    from profiles.evidence.searching.costs import costs_of
    from profiles.evidence.searching.search_jointly import search_jointly
    from profiles.reports.evidence.joint_table import show_joint_search
    from profiles.reports.evidence.pictures.joint import joint_chart
    from profiles.reports.evidence.run_progress import RunProgress
    from profiles.reports.pictures.drawn import draw

    costs = costs_of(source, exams, options.top_ks, estimator=options.estimator)
    found = search_jointly(
        exams,
        costs,
        out,
        RunProgress(sys.stderr),
        most_removed=most_removed,
        rounds=options.rounds,
        each=options.each,
    )
    picture = draw(joint_chart(found))
    write_atomically(out / f"{picture.chart.name}.svg", picture.wide)
    write_atomically(out / f"{picture.chart.name}.png", picture.png)
    return show_joint_search(found, width=terminal_width(sys.stdout))
