"""`trimoe export`: write a verified family of variants."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace as with_fields
from pathlib import Path

import click

from exporter.commands.format_options import format_options, graph_types
from exporter.commands.options import PlanOptions, plan_options, read_request
from exporter.export.job import ExportResult
from exporter.export.protocols import BuildCheck, GraphForm, LogitCheck
from exporter.export.transaction import export_family
from exporter.family.target_folder import check_target
from exporter.plan.make_plan import make_plan
from exporter.plan.plan import Plan
from exporter.rendering.export_report import export_document, show_export
from exporter.rendering.plan_table import plan_document, show_plan
from runtime.commands.needed_packages import needed_packages
from runtime.documents.checked_json import dump_document
from runtime.errors import PlanError
from runtime.text.progress_bar import ProgressBar
from runtime.text.sizes import show_bytes
from runtime.text.terminal import terminal_width

FOLDER = click.Path(path_type=Path)


@click.command()
@click.argument("checkpoint", type=FOLDER)
@click.option(
    "--out",
    type=FOLDER,
    help="The family's folder: new, empty, or with --replace another family. Missing parents are created.",
)
@plan_options
@click.option("--dry-run", is_flag=True, help="Show the plan and write nothing, like `trimoe plan`.")
@format_options
@click.option(
    "--no-logits", is_flag=True, help="Leave out the logit check and the golden files; torch is not needed then."
)
@click.option("--replace", is_flag=True, help="Put the new family in the place of the one at --out.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as a JSON document.")
def export(
    checkpoint: Path,
    out: Path | None,
    options: PlanOptions,
    dry_run: bool,
    formats: str,
    dtypes: str,
    no_logits: bool,
    replace: bool,
    as_json: bool,
) -> None:
    """Export CHECKPOINT as a verified family of variants.

    CHECKPOINT is a folder with config.json and safetensors weights. Exactly one of --recommendations, --importance and
    --remove says which blocks go. An interrupted export is resumed by the same command.
    """
    if out is None and not dry_run:
        raise click.UsageError("give --out DIR")
    if "\ufffd" in os.fsencode(checkpoint.absolute()).decode("utf-8", "replace"):
        raise PlanError(f"{checkpoint}: this path is not UTF-8 and so cannot be named in a manifest; rename it")
    types = graph_types(formats, dtypes)
    source, request = read_request(checkpoint, options)
    planned = make_plan(source, request=with_fields(request, graphs=types))
    if out is not None and not dry_run:
        check_target(out, planned.checkpoint.folder)  # before torch is imported, which takes seconds
    graphs = _graphs(planned)
    if out is None or dry_run:
        _show_plan(planned, graphs, as_json)
        return
    result, seconds = _export(planned, out, no_logits=no_logits, replace=replace, graphs=graphs)
    click.echo(
        dump_document(export_document(planned, result, seconds)).decode()
        if as_json
        else show_export(planned, result, seconds, width=terminal_width(sys.stdout)),
        nl=not as_json,
    )


def _export(
    plan: Plan, out: Path, *, no_logits: bool, replace: bool, graphs: GraphForm | None
) -> tuple[ExportResult, dict[str, float]]:
    progress = ProgressBar()
    logits, buildable = (None, None) if no_logits else _logit_checks()
    with _with_notes():
        result = export_family(
            plan, out, logits=logits, replace=replace, progress=progress, graphs=graphs, buildable=buildable
        )
    return result, progress.seconds


def _graphs(plan: Plan) -> GraphForm | None:
    """What writes the graphs, or None. Raises CheckpointError, PlanError for what has no ONNX form,
    MissingPackageError."""
    if plan.graphs is None:
        return None
    with needed_packages("--format onnx", extras="export,cpu"):
        from exporter.graphs.graph_form import GraphExport  # imports torch, onnx and onnxruntime

    return GraphExport(plan)


def _show_plan(plan: Plan, graphs: GraphForm | None, as_json: bool) -> None:
    types = () if plan.graphs is None else plan.graphs.precisions
    if as_json:
        onnx = {} if graphs is None else {"onnx": {"dtypes": list(types), "data_bytes": graphs.needed_bytes({})}}
        click.echo(dump_document({**plan_document(plan), **onnx}).decode(), nl=False)
        return
    click.echo(show_plan(plan, width=terminal_width(sys.stdout)))
    if graphs is not None:
        click.echo(
            f"\nONNX graphs of every variant in {', '.join(types)}: {show_bytes(graphs.needed_bytes({}))} "
            "of weights more."
        )


def _logit_checks() -> tuple[LogitCheck, BuildCheck]:
    with needed_packages("the logit check, which --no-logits leaves out,", extras="export"):
        from exporter.verify.export_answers import check_buildable, check_logits  # imports torch

    return check_logits, check_buildable


@contextmanager
def _with_notes() -> Iterator[None]:
    """An interruption says what was left behind for the next run."""
    try:
        yield
    except KeyboardInterrupt as error:
        click.echo("\n".join(("Interrupted.", *getattr(error, "__notes__", ()))), err=True)
        raise click.Abort from error
