"""`trimoe check-evidence`: holds the files of a pruning study, and a family, against each other."""

import sys
from pathlib import Path

import click

from profiles.commands.evidence.study_options import RESULTS, StudyOptions, study_options
from runtime.commands.needed_packages import needed_packages
from runtime.documents.checked_json import dump_document
from runtime.text.terminal import terminal_width


@click.command()
@click.argument("evidence", metavar="EVIDENCE...", type=RESULTS, nargs=-1)
@study_options
@click.option("--family", type=click.Path(path_type=Path, file_okay=False), help="A family that was cut by it.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as a JSON document.")
def check_evidence(evidence: tuple[Path, ...], options: StudyOptions, family: Path | None, as_json: bool) -> None:
    """Hold EVIDENCE against each other: importance scores, recommendations, analyses, folders of results.

    Do the scores remove what is recommended, and the family what either says; if not, which blocks, at what cost? What
    was really removed in the results? Do zeros among the scores mean "not measured"? Exits with 1 when the evidence
    does not agree.
    """
    with needed_packages("trimoe check-evidence", extras="profiles"):
        from profiles.evidence.checking.check import check_evidence as check
        from profiles.evidence.checking.sources import Asked, read_sources
        from profiles.reports.evidence.check_table import checked_fields, show_checked

    if not evidence and family is None:
        raise click.UsageError("give files or folders of evidence, or --family")
    asked = Asked(blocks=options.blocks, split=options.split, protected=options.protected)
    found = check(read_sources(evidence, family=family, asked=asked))
    if as_json:
        click.echo(dump_document(checked_fields(found)).decode(), nl=False)
    else:
        click.echo(show_checked(found, width=terminal_width(sys.stdout)), nl=False)
    if not found.agrees:
        click.get_current_context().exit(1)
