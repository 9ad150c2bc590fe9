"""`trimoe gate`: compare a family's accuracy with a baseline and say pass, fail, or not enough samples to tell."""

import json
import sys
from pathlib import Path

import click

from profiles.accuracy.gate.gate_request import GateRequest, ScoreChoice
from profiles.accuracy.gate.limits import LimitOptions, Points
from profiles.commands.dataset_options import columns_option, dataset_option
from runtime.commands.needed_packages import needed_packages
from runtime.commands.option_group import option_group
from runtime.documents.manifest import read_manifest
from runtime.errors import DocumentError
from runtime.text.terminal import terminal_width

EXIT_UNKNOWN = 3


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
    click.option("--dtype", help="Compare only scores in this dtype  [default: all in the baseline]"),
    click.option(
        "--against",
        help="Compare with this variant of the baseline, e.g. the whole model  [default: the same variant]",
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
        help="Chance of failing an unchanged variant, over all its data sets.",
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
@dataset_option
@columns_option
@click.option("--json", "as_json", is_flag=True, help="Print the comparisons as a JSON document.")
@click.pass_context
def gate(
    context: click.Context,
    family: Path,
    baseline: Path,
    measured: Path,
    choice: ScoreChoice,
    limits: LimitOptions,
    data: tuple[str, ...],
    columns: dict[str, str],
    as_json: bool,
) -> None:
    """Compare FAMILY with a baseline: the same samples, paired tests, the worst data set decides.

    Exit status: 0 pass, 1 fail (or an error), 3 not enough samples to tell, or a drop of the study's was not measured.
    """
    with needed_packages("trimoe gate", extras="profiles,cpu"):
        from profiles.accuracy.gate.compare import FAIL, PASS
        from profiles.accuracy.gate.run_gate import is_study, run_gate
        from profiles.reports.gate_report import outcome_document, show_outcome

    manifest = read_manifest(family)
    if is_study(baseline):
        _refuse_for_study(context, choice, limits)
    request = GateRequest(
        family=family, manifest=manifest, baseline=baseline, measured=measured, choice=choice, limits=limits
    )
    _measure(request, data, columns)
    outcome = run_gate(request)
    click.echo(
        json.dumps(outcome_document(outcome), indent=2)
        if as_json
        else show_outcome(outcome, width=terminal_width(sys.stdout)).rstrip("\n")
    )
    context.exit(0 if outcome.verdict == PASS else 1 if outcome.verdict == FAIL else EXIT_UNKNOWN)
