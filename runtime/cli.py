"""The command `trimoe`: finds its subcommands through package metadata and imports only the one that runs."""

import ast
from importlib.metadata import EntryPoint, entry_points, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from runtime.errors import TrimoeError


class Commands(click.Group):
    """Subcommands from the entry-point group `trimoe.commands`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all installed subcommands, sorted."""
        return sorted(entry_points(group="trimoe.commands").names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand of that name, imported now; None when there is none."""
        found = entry_points(group="trimoe.commands", name=cmd_name)
        for entry in found:
            command = entry.load()
            if isinstance(command, click.Command):
                return command
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without importing them, each with what the head of its module says."""
        entries = sorted(entry_points(group="trimoe.commands"), key=lambda entry: entry.name)
        with formatter.section("Commands"):
            formatter.write_dl([(entry.name, _purpose(entry)) for entry in entries])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand; errors of trimoe become one line on stderr and exit status 1."""
        try:
            return super().invoke(ctx)
        except TrimoeError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("trimoe"), prog_name="trimoe")
def main() -> None:
    """Turn a mixture-of-experts checkpoint and a pruning study into a verified family of smaller, faster variants."""


def _purpose(entry: EntryPoint) -> str:
    """The first line of the command's module, behind its "`trimoe NAME`:"."""
    spec = find_spec(entry.module)
    if spec is None or spec.origin is None:
        return ""
    head = (ast.get_docstring(ast.parse(Path(spec.origin).read_bytes())) or "").partition("\n")[0]
    purpose = head.partition("`: ")[2]
    return purpose[:1].upper() + purpose[1:]
