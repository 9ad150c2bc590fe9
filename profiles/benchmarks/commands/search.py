"""`python -m profiles.benchmarks search`: how much faster a search is whose cuts share what they run alike."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from profiles.commands.dataset_options import evidence_data_option
from profiles.commands.model_options import ModelOptions, model_options
from profiles.datasets.changes import Changes
from runtime.commands.needed_packages import needed_packages
from runtime.documents.checked_json import dump_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profiles.benchmarks.searching.prefix_sharing import StepTimes

WIDTH, MOST_REMOVED = 3, 4


@click.command("search", short_help="Cuts that share what they run against each alone.")
@click.argument("checkpoint", type=click.Path(path_type=Path, exists=True, file_okay=False))
@evidence_data_option
@click.option("--limit", type=click.IntRange(min=1), default=32, show_default=True, help="Samples of each split.")
@click.option("--timed", type=click.IntRange(min=1), default=6, show_default=True, help="Cuts a step run alone too.")
@model_options
@click.option("--json", "as_json", is_flag=True, help="Print the figures as a JSON document.")
@click.pass_context
def bench_search(
    context: click.Context,
    checkpoint: Path,
    data: tuple[str, ...],
    limit: int,
    timed: int,
    running: ModelOptions,
    as_json: bool,
) -> None:
    """Measure a beam search of width 3 to four removed blocks of CHECKPOINT on data sets (the demo's without --data),
    against running each set of blocks alone.

    Exits with 1 when sharing over all is less than three times as fast, or when an answer differs.
    """
    with needed_packages("this benchmark", extras="profiles,cpu"):
        from profiles.benchmarks.searching.prefix_sharing import TARGET
        from profiles.benchmarks.searching.prefix_sharing import bench_search as measure
        from profiles.datasets.dataset import Dataset
        from profiles.datasets.named import DEMO
        from profiles.datasets.splits import joined, load_splits
        from profiles.evidence.running.source_model import open_source_model
        from profiles.evidence.searching.beam_search import Beam, all_candidates

    splits = joined(load_splits(data or (DEMO,), Changes(limit=limit)))
    model = open_source_model(checkpoint, device=running.device, threads=running.threads)
    beam = Beam(blocks=model.blocks, width=WIDTH, most_removed=MOST_REMOVED, candidates=all_candidates(model.blocks))
    questions = [split.content for split in splits if isinstance(split.content, Dataset)]
    say = partial(click.echo, err=True)
    steps = measure(model, questions, beam, batch_size=running.batch_size, timed=timed, say=say)
    ratio = sum(step.alone_s for step in steps) / sum(step.shared_s for step in steps)
    met = ratio >= TARGET and all(step.same == step.timed for step in steps)
    if as_json:
        figures = [{**asdict(step), "ratio": step.ratio} for step in steps]
        click.echo(dump_document({"ratio": ratio, "target": TARGET, "met": met, "steps": figures}).decode(), nl=False)
    else:
        click.echo(_table(steps))
        click.echo(f"all: {ratio:.2f} times as fast, target ≥ {TARGET:g}: {'met' if met else 'MISSED'}")
    if not met:
        context.exit(1)


def _table(steps: "Sequence[StepTimes]") -> str:
    lines = [f"{'data set':<20}{'removed':>8}{'cuts':>6}{'alone s':>10}{'shared s':>10}{'ratio':>7}{'same':>9}"]
    for step in steps:
        same = f"{step.same} of {step.timed}"
        times = f"{step.alone_s:>10.1f}{step.shared_s:>10.1f}{step.ratio:>7.2f}"
        lines.append(f"{step.dataset:<20}{step.step:>8}{step.cuts:>6}{times}{same:>9}")
    return "\n".join(lines)
