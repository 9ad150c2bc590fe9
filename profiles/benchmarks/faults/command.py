"""`python -m profiles.benchmarks faults`: planted faults, and which check stops each."""

import dataclasses
import tempfile
from pathlib import Path

import click

from runtime.commands.needed_packages import needed_packages
from runtime.documents.checked_json import dump_document
from runtime.text.tables import Column, show_table

TYPES = ("float32", "float16", "int8", "int4")
COLUMNS = ("fault", "export", "verify", "(recorded)", "load", "(recorded)")


@click.command("faults", short_help="Planted faults, and what stops each.")
@click.option("--dtype", "dtypes", type=click.Choice(TYPES), multiple=True, help="Which graphs  [default: all of them]")
@click.option("--json", "as_json", is_flag=True, help="Print the table as a JSON document.")
def bench_faults(dtypes: tuple[str, ...], as_json: bool) -> None:
    """Plant faults in the graphs and weights of a small family of random weights, and show which check stops each: of
    an export that writes it, of `trimoe verify`, and of a loader; the latter two also where the manifest was made to
    agree with the fault, so that no digest tells it.

    Exits with 1 when an export, a verification or a loader lets one pass that it can know of.
    """
    with needed_packages("this benchmark", extras="profiles,cpu"):
        from profiles.benchmarks.faults.gates import NOTHING
        from profiles.benchmarks.faults.table import fault_table
    found = {}
    for dtype in dtypes or TYPES:
        with tempfile.TemporaryDirectory() as scratch:
            table = fault_table(Path(scratch), dtype, say=lambda line: click.echo(line, err=True))
            found[dtype] = {name: dataclasses.astuple(caught) for name, caught in table}
    if as_json:
        click.echo(dump_document({kind: dict(rows) for kind, rows in found.items()}).decode(), nl=False)
    else:
        for kind, rows in found.items():
            columns = tuple(Column(head=head) for head in (f"{kind}: {COLUMNS[0]}", *COLUMNS[1:]))
            click.echo(show_table(columns, [(name, *caught) for name, caught in rows.items()], width=None) + "\n")
    if any(NOTHING in (caught[0], caught[1], caught[3]) for rows in found.values() for caught in rows.values()):
        click.get_current_context().exit(1)
