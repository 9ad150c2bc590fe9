"""`trimoe prepare`: pack the weights of a family's quantised graphs for this processor, once for all variants."""

from pathlib import Path

import click

from runtime.commands.needed_packages import needed_packages
from runtime.commands.prepared_option import prepared_option
from runtime.documents.checked_json import dump_document
from runtime.documents.family_files import FamilyFiles
from runtime.engines.prepared.forms import PreparedForms
from runtime.text.progress_bar import ProgressBar
from runtime.text.sizes import show_bytes


@click.command()
@click.argument("family", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--dtype", "dtypes", multiple=True, help="Types of weights. Repeatable.  [default: all that gain by it]")
@prepared_option
@click.option("--test/--no-test", default=True, show_default=True, help="Load every variant and repeat golden outputs.")
@click.option("--remove", is_flag=True, help="Remove what was prepared of FAMILY there, for any machine, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def prepare(
    family: Path, dtypes: tuple[str, ...], prepared: PreparedForms | None, test: bool, remove: bool, as_json: bool
) -> None:
    """Pack the weights of FAMILY's quantised graphs as this processor's kernels want them, for all variants at once.

    Whoever runs the family later on this machine maps them; without this the first who does packs them. The family is
    not changed, and what is prepared may be removed at any time.
    """
    if prepared is None:
        raise click.UsageError("there is nothing to prepare with --prepared off")
    with needed_packages("trimoe prepare", extras="cpu"):
        from runtime.preparing.family import prepare_family, remove_family
        from runtime.preparing.report import report_document, show_report
    manifest = FamilyFiles(family).manifest()
    if remove:
        click.echo(f"Removed {show_bytes(remove_family(prepared, manifest))} from {prepared.place}")
        return
    found = prepare_family(prepared, family, manifest, dtypes, test=test, progress=ProgressBar())
    click.echo(dump_document(report_document(found)).decode() if as_json else show_report(found), nl=False)
