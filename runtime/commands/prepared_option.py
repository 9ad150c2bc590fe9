"""The option of commands that run variants: where packed weights for this processor are kept."""

from pathlib import Path

import click

from runtime.engines.prepared.forms import PreparedForms

_CACHE, _OFF = "cache", "off"


def _read(_context: click.Context, _parameter: click.Parameter, value: str) -> PreparedForms | None:
    if value == _OFF:
        return None
    return PreparedForms() if value == _CACHE else PreparedForms(folder=Path(value))


prepared_option = click.option(
    "--prepared",
    default=_CACHE,
    show_default=True,
    callback=_read,
    metavar="cache|off|FOLDER",
    help="Where quantised types have packed weights, made where they are missing: among the user's caches, in a "
    "folder, or nowhere, so that each variant packs for itself.",
)
