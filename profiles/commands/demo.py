"""`trimoe demo`: the whole path on the model that ships, from export to answers under latency budgets."""

import shlex
import sys
from pathlib import Path

import click

from runtime.commands.needed_packages import needed_packages
from runtime.text.terminal import terminal_width


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("artifacts/demo"),
    show_default=True,
    help="Where the family goes; what is measured goes into a folder beside it, DIR-measured.",
)
def demo(out: Path) -> None:
    """Export, verify, measure, fit, evaluate and gate the small trained model that ships with trimoe, then let it
    answer held-out questions within different latency budgets.

    Takes two to four minutes; every command is shown before it runs.
    """
    with needed_packages("trimoe demo", extras="profiles,cpu"):
        from profiles.walkthrough.budgets import ask_under_budgets, held_out
        from profiles.walkthrough.steps import Paths, commands, run_steps
        from profiles.walkthrough.table import show_asked
        from runtime.serving.family import Family

    paths = Paths(family=out)
    run_steps(paths)
    click.secho(
        f"{len(list(commands(paths))) + 1}. Answer: the best variant that fits the budget of each question", bold=True
    )
    with Family.load(paths.family, estimators=[paths.estimator], baseline=paths.baseline) as family:
        asked = list(ask_under_budgets(family, held_out()))
    click.echo(show_asked(asked, width=terminal_width(sys.stdout)))
    serve = ["trimoe", "serve", str(out), "--estimator", str(paths.estimator), "--baseline", str(paths.baseline)]
    click.echo(f"Serve it:\n$ {shlex.join(serve)}")
