"""The options of the commands that write variants: which formats, and the types of ONNX weights."""

from collections.abc import Callable
from typing import Any

import click

from exporter.graphs.weights.precision import find_precision


def format_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --format and --dtype, which the command gets as the strings `formats` and `dtypes` (see `graph_types`)."""
    for option in (
        click.option(
            "--dtype",
            "dtypes",
            default="float32",
            show_default=True,
            help="Types of the ONNX weights, by commas: float32, float16, bfloat16, int8, int4.",
        ),
        click.option(
            "--format",
            "formats",
            default="safetensors",
            show_default=True,
            help="What to write: safetensors, or safetensors,onnx.",
        ),
    ):
        command = option(command)
    return command


def graph_types(formats: str, dtypes: str) -> tuple[str, ...]:
    """The types of the graphs that the options of the running command ask for, by name.

    Raises UsageError for formats that are not and for types without graphs, PlanError for unknown types.
    """
    asked = sorted(name.strip() for name in formats.split(","))
    if asked == ["safetensors"]:
        source = click.get_current_context().get_parameter_source("dtypes")
        if source is not click.core.ParameterSource.DEFAULT:
            raise click.UsageError(
                "--dtype is the type of ONNX weights: give "
                "--format safetensors,onnx too (safetensors keep the source's)"
            )
        return ()
    if asked != ["onnx", "safetensors"]:
        raise click.UsageError(f"--format {formats}: there are safetensors, and safetensors,onnx")
    names = dict.fromkeys(name.strip() for name in dtypes.split(","))
    return tuple(find_precision(name).name for name in names)
