"""`trimoe export`: write a verified family of variants, or copy one variant out of a family."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from exporter.commands.missing_package import missing_package
from exporter.commands.options import PlanOptions, plan_options, read_request
from exporter.commands.progress_bar import ProgressBar
from exporter.export import ExportResult, export_family
from exporter.export_protocols import BuildCheck, GraphForm, LogitCheck
from exporter.family.standalone import export_standalone
from exporter.family.target_folder import looking_at
from exporter.graphs.weights.precision import Precision, find_precision
from exporter.plan.plan import Plan, make_plan
from exporter.rendering.export_report import export_document, show_export, show_path
from exporter.rendering.plan_table import plan_document, show_plan
from runtime.documents.checked_json import dump_document
from runtime.documents.family_layout import MANIFEST
from runtime.documents.manifest import read_manifest
from runtime.errors import PlanError
from runtime.text.one_line import one_line
from runtime.text.sizes import show_bytes
from runtime.text.terminal import terminal_width

FOLDER = click.Path(path_type=Path)


@click.command()
@click.argument("checkpoint", type=FOLDER, required=False)
@click.option(
    "--out",
    type=FOLDER,
    help="The family's folder: new, empty, or with --replace another family. Missing parents are created.",
)
@plan_options
@click.option("--dry-run", is_flag=True, help="Show the plan and write nothing, like `trimoe plan`.")
@click.option(
    "--format",
    "formats",
    default="safetensors",
    show_default=True,
    help="What to write: safetensors, or safetensors,onnx.",
)
@click.option(
    "--dtype",
    "dtypes",
    default="float32",
    show_default=True,
    help="Types of the ONNX weights, by commas: float32, float16, bfloat16, int8, int4.",
)
@click.option(
    "--no-logits", is_flag=True, help="Leave out the logit check and the golden files; torch is not needed then."
)
@click.option("--replace", is_flag=True, help="Put the new family in the place of the one at --out.")
@click.option("--variant", metavar="ID", help="The variant that --standalone copies.")
@click.option("--standalone", type=FOLDER, metavar="DIR", help="Copy the variant out as a folder of its own.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as a JSON document.")
def export(
    checkpoint: Path | None,
    out: Path | None,
    options: PlanOptions,
    dry_run: bool,
    formats: str,
    dtypes: str,
    no_logits: bool,
    replace: bool,
    variant: str | None,
    standalone: Path | None,
    as_json: bool,
) -> None:
    """Export CHECKPOINT as a verified family of variants.

    CHECKPOINT is a folder with config.json and safetensors weights. Exactly one of --recommendations, --importance and
    --remove says which blocks go. An interrupted export is resumed by the same command.

    With --variant and --standalone one variant is also copied out; when CHECKPOINT is left out (the family is then at
    --out) or is itself a family, that is all that happens.
    """
    if (variant is None) != (standalone is None):
        raise click.UsageError("--variant and --standalone belong together")
    onnx = _onnx_types(formats, dtypes)
    family = _given_family(checkpoint, out)
    if family is not None and not options.given and not (dry_run or no_logits or replace):
        if onnx or _was_given("formats"):
            raise click.UsageError("--format belongs to an export; a copy has the variant's safetensors only")
        _copy_out(family, variant, standalone, as_json)
        return
    if checkpoint is None or (out is None and not dry_run):
        raise click.UsageError(f"give {'a CHECKPOINT' if checkpoint is None else '--out DIR'}")
    if "\ufffd" in os.fsencode(checkpoint.absolute()).decode("utf-8", "replace"):
        raise PlanError(f"{checkpoint}: this path is not UTF-8 and so cannot be named in a manifest; rename it")
    source, request = read_request(checkpoint, options)
    planned = make_plan(source, request=request)
    if variant is not None and variant not in [v.id for v in planned.variants]:
        raise PlanError(f"no variant {variant!r} in this plan; it has {', '.join(v.id for v in planned.variants)}")
    graphs = _graphs(planned, onnx)
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
    if variant is not None:
        _copy_out(out, variant, standalone, False, quiet=as_json)


def _given_family(checkpoint: Path | None, out: Path | None) -> Path | None:
    """The family to copy a variant out of, when no export is asked for."""
    if checkpoint is None:
        return out
    with looking_at(checkpoint):
        is_family = out is None and (checkpoint / MANIFEST).exists() and not (checkpoint / "config.json").exists()
    return checkpoint if is_family else None


def _copy_out(family: Path, variant: str | None, target: Path | None, as_json: bool, *, quiet: bool = False) -> None:
    if variant is None or target is None:
        raise click.UsageError(
            f"{family} as the only folder: give --variant ID --standalone DIR to copy a variant out, or a "
            "CHECKPOINT to export"
        )
    manifest = read_manifest(family)
    with _with_notes():
        size = export_standalone(family, manifest, variant, target, progress=ProgressBar())
    if as_json:
        document = {
            "format": "trimoe.standalone",
            "version": 1,
            "variant": variant,
            "folder": show_path(target),
            "bytes": size,
        }
        click.echo(dump_document(document).decode(), nl=False)
    elif not quiet:
        graphs = any(file.path.startswith("onnx/") for file in manifest.files)
        note = (
            " Its ONNX graph is not copied: the graphs of a type stand in onnx/<type>/ with their weights."
            if graphs
            else ""
        )
        click.echo(f"Copied {variant} to {one_line(str(target))}: {show_bytes(size)}, every file as recorded.{note}")


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


def _was_given(option: str) -> bool:
    return click.get_current_context().get_parameter_source(option) is not click.core.ParameterSource.DEFAULT


def _onnx_types(formats: str, dtypes: str) -> tuple[Precision, ...]:
    """The types of the graphs asked for. Raises UsageError for formats that are not and for types without graphs,
    PlanError for unknown types."""
    asked = sorted(name.strip() for name in formats.split(","))
    if asked == ["safetensors"]:
        if _was_given("dtypes"):
            raise click.UsageError(
                "--dtype is the type of ONNX weights: give "
                "--format safetensors,onnx too (safetensors keep the source's)"
            )
        return ()
    if asked != ["onnx", "safetensors"]:
        raise click.UsageError(f"--format {formats}: there are safetensors, and safetensors,onnx")
    return tuple(find_precision(name) for name in dict.fromkeys(name.strip() for name in dtypes.split(",")))


def _graphs(plan: Plan, types: tuple[Precision, ...]) -> GraphForm | None:
    """What writes the graphs, or None. Raises CheckpointError, PlanError for what has no ONNX form, ClickException for
    a missing package."""
    if not types:
        return None
    try:
        from exporter.graphs.graph_form import GraphExport  # imports torch, onnx and onnxruntime
    except ImportError as error:
        raise click.ClickException(
            f"{missing_package(error, extras='export,cpu')}; --format safetensors exports without ONNX graphs"
        ) from error
    return GraphExport(plan, types)


def _show_plan(plan: Plan, graphs: GraphForm | None, as_json: bool) -> None:
    if as_json:
        onnx = {} if graphs is None else {"onnx": {"dtypes": list(graphs.names), "data_bytes": graphs.needed_bytes({})}}
        click.echo(dump_document({**plan_document(plan), **onnx}).decode(), nl=False)
        return
    click.echo(show_plan(plan, width=terminal_width(sys.stdout)))
    if graphs is not None:
        click.echo(
            f"\nONNX graphs of every variant in {', '.join(graphs.names)}: {show_bytes(graphs.needed_bytes({}))} "
            "of weights more."
        )


def _logit_checks() -> tuple[LogitCheck, BuildCheck]:
    try:
        from exporter.verify.export_answers import check_buildable, check_logits  # imports torch
    except ImportError as error:
        raise click.ClickException(
            f"{missing_package(error, extras='export')}; --no-logits exports without the logit check"
        ) from error
    return check_logits, check_buildable


@contextmanager
def _with_notes() -> Iterator[None]:
    """An interruption says what was left behind for the next run."""
    try:
        yield
    except KeyboardInterrupt as error:
        click.echo("\n".join(("Interrupted.", *getattr(error, "__notes__", ()))), err=True)
        raise click.Abort from error
