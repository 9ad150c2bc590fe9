"""`trimoe replay`: what another family, estimator or policy would have chosen for the requests of a decision log."""

import sys
from pathlib import Path

import click

from runtime.commands.needed_packages import needed_packages
from runtime.text.terminal import terminal_width

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.argument("logs", metavar="LOG...", type=FILE, nargs=-1, required=True)
@click.option(
    "--family",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The family to choose from: the log's, or another.",
)
@click.option(
    "--estimator",
    "estimators",
    type=FILE,
    multiple=True,
    help="From `trimoe fit`, one a type of weights.  [default: the predictions in the log]",
)
@click.option("--baseline", type=FILE, help="From `trimoe eval`.  [default: the accuracies in the log]")
@click.option(
    "--policy",
    "policies",
    multiple=True,
    default=("choice", "largest"),
    show_default=True,
    help="choice, largest, quickest or fixed:VARIANT[/DTYPE]. Repeatable.",
)
@click.option(
    "--quantile",
    type=click.FloatRange(0, 1, min_open=True),
    help="Learn the length of answers anew: upper bounds are for one that this share does not exceed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def replay(
    logs: tuple[Path, ...],
    family: Path,
    estimators: tuple[Path, ...],
    baseline: Path | None,
    policies: tuple[str, ...],
    quantile: float | None,
    as_json: bool,
) -> None:
    """Say what each policy would have chosen for the requests in LOG (files of one decision log, the oldest first),
    with totals of time and accuracy and how many budgets would have been kept."""
    with needed_packages("replay", extras="cpu"):
        from runtime.serving.decisions.replay import read_request
        from runtime.serving.decisions.replay import replay as run
        from runtime.serving.decisions.replay_report import replay_document, replay_table

    request = read_request(family, estimators, baseline, policies, quantile=quantile)
    totals = run(logs, request)
    click.echo(
        replay_document(totals) if as_json else replay_table(totals, width=terminal_width(sys.stdout)), nl=not as_json
    )
