"""The options that name data sets, shared by `trimoe eval`, `trimoe gate` and the project's benchmark of evaluation."""

from collections.abc import Callable
from typing import Any

import click


def named_values(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """`NAME=VALUE` options as a mapping."""
    found: dict[str, str] = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE", context, parameter)
        if name in found:
            raise click.BadParameter(f"{name} is given twice", context, parameter)
        found[name] = value
    return found


def dataset_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --data."""
    return click.option(
        "--data",
        "data",
        multiple=True,
        metavar="NAME[:SPLIT]=PATH",
        help=(
            "A data set: one of the study's in its publisher's layout, a JSON-lines file, a folder of Hugging "
            "Face datasets, or `demo`. Repeatable. "
            "Multiple choice (but the demo's) lists lettered options and reads answers as letters; a model that "
            "answers with an option's text needs "
            "questions that name their options and `trimoe eval … --prompt NAME='{question}'`."
        ),
    )(command)


def columns_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --columns."""
    return click.option(
        "--columns",
        multiple=True,
        callback=named_values,
        metavar="NAME=FIELD:COLUMN,…",
        help="Which columns of a Hugging Face folder hold question, image, answers, options, answer_index, "
        "references, id.",
    )(command)
