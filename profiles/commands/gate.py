"""`trimoe gate`: compare a family's accuracy with a baseline and say pass, fail, or not enough samples to tell."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from profiles.accuracy.gate.gate_request import GateRequest, ScoreChoice
from profiles.accuracy.gate.limits import LimitOptions, Points
from profiles.commands.dataset_options import columns_option, dataset_option
from runtime.commands.needed_packages import needed_packages
from runtime.commands.option_group import option_group
from runtime.documents.atomic_file import write_atomically
from runtime.documents.manifest import read_manifest
from runtime.errors import DocumentError, TrimoeError
from runtime.text.terminal import terminal_width

DROPPED, UNKNOWN_STATUS, UNMEASURED = 1, 3, 4
REPORTS = (".md", ".xml", ".json")


class UnmeasuredError(click.ClickException):
    """What ends the command because it could not be measured."""

    exit_code = UNMEASURED


@contextmanager
def _status_of_errors() -> Iterator[None]:
    """Errors of trimoe end the command with the status of what could not be measured."""
    try:
        yield
    except TrimoeError as error:
        raise UnmeasuredError("; ".join((str(error), *getattr(error, "__notes__", ())))) from error


def _report_path(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and value.suffix not in REPORTS:
        raise click.BadParameter(f"{value.name!r} ends in none of {', '.join(REPORTS)}", context, parameter)
    return value


def _points(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> Points:
    """`POINTS` for all data sets, `NAME=POINTS` for one, as fractions."""
    everywhere: float | None = None
    named: dict[str, float] = {}
    for text in values:
        name, equals, number = text.rpartition("=")
        try:
            fraction = float(number) / 100
        except ValueError as error:
            raise click.BadParameter(f"{text!r} is neither POINTS nor NAME=POINTS", context, parameter) from error
        if equals:
            named[name] = fraction
        else:
            everywhere = fraction
    return Points(everywhere=everywhere, named=named)


def _refuse_for_study(context: click.Context, choice: ScoreChoice, limits: LimitOptions) -> None:
    """Raise UsageError for what has no effect on the study's drops: they are means over data sets, of the whole model's
    score."""
    if choice.against is not None:
        raise click.UsageError(
            "--against has no effect here: the study's drops are measured from the whole model", context
        )
    if choice.other_model:
        raise click.UsageError(
            "--other-model has no effect here: the study's drops are compared with cuts of the study's own model",
            context,
        )
    if limits.tolerance.named:
        name = next(iter(limits.tolerance.named))
        raise click.UsageError(
            f"--tolerance {name}=… has no effect here: the study's drops are means over data sets; give "
            "--tolerance POINTS",
            context,
        )
    for option in ("detect", "power"):
        if context.get_parameter_source(option) == click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"--{option} has no effect here: the study's drops are compared with the interval at --alpha", context
            )


def _measure(request: GateRequest, data: tuple[str, ...], columns: dict[str, str]) -> None:
    """Measure the family into the file of its own baseline; where that is there already, say what it holds.

    Raises DocumentError where the file is there and data sets are given, and what `measure_like` raises.
    """
    from profiles.accuracy.gate.measure_like import measure_like
    from profiles.reports.gate_report import describe_measured
    from profiles.reports.sample_progress import SampleProgress

    measured = request.measured
    if not measured.exists():
        measure_like(request, data, columns, SampleProgress(sys.stderr))
    elif data:
        raise DocumentError(
            f"{measured}: exists already, so nothing is measured and --data has no meaning; remove the file to "
            "measure again"
        )
    else:
        click.echo(describe_measured(measured), err=True)


_choice_options = option_group(
    "choice",
    ScoreChoice,
    click.option(
        "--variant",
        "variants",
        multiple=True,
        help="Compare only this variant. Repeatable.  [default: every variant of the baseline]",
    ),
    click.option(
        "--engine",
        type=click.Choice(("torch", "onnx")),
        help="Compare only scores of this engine  [default: all in the baseline]",
    ),
    click.option(
        "--dtype",
        "dtypes",
        multiple=True,
        help="Compare only scores in this dtype. Repeatable.  [default: all in the baseline]",
    ),
    click.option(
        "--against",
        help="Compare with this variant of the baseline, e.g. the whole model  [default: the same variant]",
    ),
    click.option(
        "--against-engine",
        type=click.Choice(("torch", "onnx")),
        help="Compare with the baseline's scores of this engine  [default: the same, else the only one]",
    ),
    click.option(
        "--against-dtype",
        help="Compare with the baseline's scores in this dtype  [default: the same, else the only one]",
    ),
    click.option(
        "--other-model",
        is_flag=True,
        help="The baseline is of another checkpoint than FAMILY: compare the two all the same.",
    ),
)

_limit_options = option_group(
    "limits",
    LimitOptions,
    click.option(
        "--tolerance",
        multiple=True,
        callback=_points,
        metavar="[NAME=]POINTS",
        help="A drop that is allowed, in hundredths.  [default: 0]",
    ),
    click.option(
        "--detect",
        multiple=True,
        callback=_points,
        metavar="[NAME=]POINTS",
        help="A drop that has to be caught.  [default: tolerance + 2]",
    ),
    click.option(
        "--alpha",
        type=float,
        default=0.05,
        show_default=True,
        help="Chance of failing an unchanged family, over all variants and data sets.",
    ),
    click.option(
        "--power",
        type=float,
        default=0.9,
        show_default=True,
        help="Confidence with which passing rules out the drop to be caught.",
    ),
)


@click.command()
@click.argument("family", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--baseline",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A baseline written by `trimoe eval`, or the study's drops.",
)
@click.option(
    "--measured",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("measured.json"),
    show_default=True,
    help="FAMILY's own baseline; where the file is missing, FAMILY is measured into it first.",
)
@_choice_options
@_limit_options
@click.option(
    "--limits",
    "limits_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A TOML file: a table a data set with tolerance and detect in points; alpha and power at its top.",
)
@dataset_option
@columns_option
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_report_path,
    help="Write the outcome with the samples that changed: Markdown (.md), JUnit (.xml) or JSON (.json).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the comparisons as a JSON document.")
@click.pass_context
def gate(
    context: click.Context,
    family: Path,
    baseline: Path,
    measured: Path,
    choice: ScoreChoice,
    limits: LimitOptions,
    limits_file: Path | None,
    data: tuple[str, ...],
    columns: dict[str, str],
    report: Path | None,
    as_json: bool,
) -> None:
    """Compare FAMILY with a baseline: the same samples, paired tests, the worst data set decides.

    Exit status: 0 pass, 1 dropped, 2 wrong usage, 3 not enough samples to tell, 4 could not be measured.
    """
    with needed_packages("trimoe gate", extras="profiles,cpu"):
        from profiles.accuracy.gate.limits_file import limits_of_file, over
        from profiles.accuracy.gate.run_gate import is_study, run_gate
        from profiles.reports.gate_files import report_bytes
        from profiles.reports.gate_report import outcome_document, show_outcome

    with _status_of_errors():
        if limits_file is not None:
            limits = over(limits_of_file(limits_file), limits, _given(context))
        manifest = read_manifest(family)
        if is_study(baseline):
            _refuse_for_study(context, choice, limits)
        request = GateRequest(
            family=family, manifest=manifest, baseline=baseline, measured=measured, choice=choice, limits=limits
        )
        _measure(request, data, columns)
        outcome = run_gate(request)
        if report is not None:
            write_atomically(report, report_bytes(outcome, request, report.suffix))
    click.echo(
        json.dumps(outcome_document(outcome), indent=2)
        if as_json
        else show_outcome(outcome, width=terminal_width(sys.stdout)).rstrip("\n")
    )
    context.exit(_status(outcome.verdict))


def _given(context: click.Context) -> frozenset[str]:
    """The options of the command line."""
    source = click.core.ParameterSource.COMMANDLINE
    return frozenset(name for name in context.params if context.get_parameter_source(name) == source)


def _status(verdict: str) -> int:
    from profiles.accuracy.gate.compare import FAIL, PASS, UNKNOWN

    return {PASS: 0, FAIL: DROPPED, UNKNOWN: UNKNOWN_STATUS}.get(verdict, UNMEASURED)
