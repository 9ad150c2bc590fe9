"""The options that name data sets, shared by `trimoe eval`, `trimoe gate` and the project's benchmark of evaluation."""

from collections.abc import Callable
from typing import Any

import click

from profiles.datasets.changes import Changes
from runtime.commands.option_group import option_group


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


def evidence_data_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --data for commands that measure evidence."""
    return click.option(
        "--data",
        "data",
        multiple=True,
        metavar="NAME[:SPLIT]=PATH",
        help=(
            "A split of a data set: one of the study's in its publisher's layout, a JSON-lines file, a folder of "
            "Hugging Face datasets, a text (*.txt, for language models), or `demo`, its calibration images. A split "
            "without a name is `train`. Repeatable."
        ),
    )(command)


change_options = option_group(
    "changes",
    Changes,
    click.option(
        "--limit", type=click.IntRange(min=1), metavar="N", help="Measure N samples of each data set, evenly spaced."
    ),
    click.option(
        "--max-new-tokens", type=click.IntRange(min=1), help="Tokens generated at most  [default: the data set's own]"
    ),
    click.option(
        "--metric",
        "metrics",
        multiple=True,
        callback=named_values,
        metavar="NAME=ID",
        help="Score a data set by this metric, e.g. anls/lmms.",
    ),
    click.option(
        "--prompt",
        "prompts",
        multiple=True,
        callback=named_values,
        metavar="NAME=TEMPLATE",
        help="Ask with this template of {question}, {options}.",
    ),
    columns_option,
)
