"""`trimoe verify`: check a family on disk again, from its files to its answers."""

import sys
from pathlib import Path

import click

from exporter.checkpoint.checkpoint import Checkpoint, open_checkpoint
from exporter.verify.family import GraphCheck, verify_family
from exporter.verify.report import Report, report_document, show_report
from exporter.verify.standalone import GraphTest, verify_standalone
from exporter.verify.verification import AnswerCheck
from runtime.commands.needed_packages import needed_packages
from runtime.documents.checked_json import dump_document
from runtime.documents.family_files import is_standalone
from runtime.errors import MissingPackageError
from runtime.text.progress_bar import ProgressBar
from runtime.text.terminal import terminal_width

FOLDER = click.Path(path_type=Path)


@click.command()
@click.argument("family", type=FOLDER, metavar="DIR")
@click.option(
    "--source", type=FOLDER, metavar="CHECKPOINT", help="Compare with the checkpoint the family was cut from as well."
)
@click.option("--no-logits", is_flag=True, help="Leave out running the variants; torch is not needed then.")
@click.option(
    "--variant", "variants", multiple=True, metavar="ID", help="Only this variant and the files it uses (repeatable)."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as a JSON document.")
def verify(family: Path, source: Path | None, no_logits: bool, variants: tuple[str, ...], as_json: bool) -> None:
    """Verify the family at DIR, or the variant copied out of one: its files, bytes, structure and code, and what its
    variants answer.

    Ends with exit status 1 when any check fails; the table names the first file, tensor and bytes that are not what was
    written.
    """
    checkpoint = None if source is None else open_checkpoint(source)
    if is_standalone(family):
        report = _verify_standalone(family, checkpoint, variants, no_logits=no_logits)
    else:
        report = verify_family(
            family,
            variants=variants,
            checkpoint=checkpoint,
            answers="--no-logits was given" if no_logits else _answers,
            graphs=_graphs,
            progress=ProgressBar(),
        )
    click.echo(
        dump_document(report_document(report)).decode()
        if as_json
        else show_report(report, width=terminal_width(sys.stdout)),
        nl=not as_json,
    )
    if report.failed:
        raise click.exceptions.Exit(1)


def _verify_standalone(
    folder: Path, checkpoint: Checkpoint | None, variants: tuple[str, ...], *, no_logits: bool
) -> Report:
    if variants:
        raise click.UsageError(f"--variant belongs to a family; {folder} is one variant")
    return verify_standalone(
        folder,
        checkpoint=checkpoint,
        answers="--no-logits was given" if no_logits else _answers,
        graphs="--no-logits was given" if no_logits else _graph_test,
        progress=ProgressBar(),
    )


def _graph_test() -> GraphTest | str:
    try:
        with needed_packages("running the graphs", extras="cpu"):
            from exporter.verify.standalone_graphs import check_graphs  # imports onnxruntime
    except MissingPackageError as error:
        return str(error)
    return check_graphs


def _graphs() -> GraphCheck | str:
    try:
        with needed_packages("checking the graphs", extras="export,cpu"):
            from exporter.verify.family_graphs import verify_graphs  # imports torch, onnx and onnxruntime
    except MissingPackageError as error:
        return str(error)
    return verify_graphs


def _answers() -> AnswerCheck | str:
    try:
        with needed_packages("running the variants", extras="export"):
            from exporter.verify.family_answers import verify_answers  # imports torch
    except MissingPackageError as error:
        return str(error)
    return verify_answers
