"""`python -m profiles.benchmarks estimators`: predictions from few measured cells, against what the study used."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.commands.needed_packages import needed_packages
from runtime.documents.atomic_file import write_atomically
from runtime.documents.checked_json import dump_document

if TYPE_CHECKING:
    from profiles.benchmarks.estimators import Row

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("estimators", short_help="trimoe's estimator against a network and a table.")
@click.argument("profile", type=FILE)
@click.option("--engine", help="Use the times of this engine  [default: the only one]")
@click.option("--dtype", help="Use the times of this type of weights  [default: the only one]")
@click.option(
    "--repeats", type=click.IntRange(min=1), default=10, show_default=True, help="Draws of each number of cells."
)
@click.option("--figure", type=click.Path(path_type=Path, dir_okay=False), help="An SVG picture to write.")
@click.option("--json", "as_json", is_flag=True, help="Print the errors as a JSON document.")
def bench_estimators(
    profile: Path, engine: str | None, dtype: str | None, repeats: int, figure: Path | None, as_json: bool
) -> None:
    """Fit to a few cells of PROFILE, drawn at random, and predict whole answers of all others.

    Beside trimoe's estimator a two-layer neural network and a lookup table, fitted to the same cells. Exits with 1 when
    one of them is as good at any number of cells.
    """
    with needed_packages("this benchmark", extras="profiles,cpu"):
        from profiles.benchmarks.error_picture import error_picture
        from profiles.benchmarks.estimators import compare, is_lowest
        from profiles.latency.fit.sources import read_measured

    measured = read_measured([profile], engine=engine, dtype=dtype)
    rows, subject = compare(measured.observations, repeats=repeats), measured.subject
    if figure is not None:
        write_atomically(figure, error_picture(rows, f"{subject.engine} {subject.dtype} on {subject.device}").encode())
    if as_json:
        shown = [{"cells": row.cells, "errors": dict(row.errors)} for row in rows]
        click.echo(dump_document({"repeats": repeats, "rows": shown}).decode(), nl=False)
    else:
        click.echo(_table(rows, repeats))
    if not is_lowest(rows):
        click.get_current_context().exit(1)


def _table(rows: "tuple[Row, ...]", repeats: int) -> str:
    names = list(rows[0].errors)
    lines = [f"error of whole answers in percent, median of {repeats} draws"]
    lines.append("cells" + "".join(f"{name:>10}" for name in names))
    lines += [f"{row.cells:>5}" + "".join(f"{100 * row.errors[name]:>10.1f}" for name in names) for row in rows]
    return "\n".join(lines)
