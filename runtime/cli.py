"""The command `trimoe`: finds its subcommands through package metadata and imports only the one that runs."""

import ast
import contextlib
import io
import os
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from runtime.errors import TrimoeError
from runtime.text.one_line import one_line


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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand, and refuse what click would drop silently: the earlier values of an option that takes
        one and is given twice."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and not ctx.resilient_parsing:
            _refuse_repeated(click.Context(command, info_name=name, parent=ctx), rest)
        return name, command, rest

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line; system errors that nothing mapped, like a full standard output, become one line on
        stderr and exit status 1."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # paths may hold bytes that are not UTF-8
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            _drop_failing_output()
            place = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "cannot read or write"
            with contextlib.suppress(OSError):
                click.echo(f"Error: {one_line(f'{place}: {error.strerror or error}')}", err=True)
            sys.exit(1)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the options before the subcommand; usage errors are one line."""
        with _errors_in_one_line():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand; errors of trimoe become one line on stderr and exit status 1."""
        with _errors_in_one_line():
            return super().invoke(ctx)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("trimoe"), prog_name="trimoe")
def main() -> None:
    """Turn a mixture-of-experts checkpoint and a pruning study into a verified family of smaller, faster variants."""


@contextlib.contextmanager
def _errors_in_one_line() -> Iterator[None]:
    """The edge: trimoe's errors, with the notes on what was left behind, become click's, and every message of click's
    one line whatever is in a path or in a library's text."""
    try:
        yield
    except TrimoeError as error:
        said = (str(error), *getattr(error, "__notes__", ()))
        raise click.ClickException("; ".join(map(one_line, said))) from error
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        raise click.UsageError(one_line(error.format_message()), error.ctx) from error
    except click.ClickException as error:
        same_status = type("OneLine", (click.ClickException,), {"exit_code": error.exit_code})
        raise same_status(one_line(error.format_message())) from error
    except UnicodeEncodeError as error:  # a JSON document that would name such a path
        named = error.object[max(error.start - 40, 0) : error.end]
        raise click.ClickException(one_line(f"{named}: not UTF-8; rename it")) from error


def _refuse_repeated(ctx: click.Context, args: list[str]) -> None:
    """Raise UsageError when `args` give an option of the context's command twice that keeps only one value. Flags may
    be repeated."""
    try:
        _, _, given = ctx.command.make_parser(ctx).parse_args(list(args))
    except click.UsageError:
        return  # the command says it better when it parses
    if any(parameter.is_eager for parameter in given):
        return  # --help
    for parameter, count in Counter(given).items():
        if (
            count > 1
            and isinstance(parameter, click.Option)
            and not (parameter.multiple or parameter.is_flag or parameter.count)
        ):
            raise click.UsageError(f"{parameter.opts[0]} is given {count} times; it takes one value", ctx)


def _drop_failing_output() -> None:
    """Let what standard output cannot take go nowhere, so that the interpreter's last flush does not fail too."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, sys.stdout.fileno())
        os.close(sink)


def _purpose(entry: EntryPoint) -> str:
    """The first line of the command's module, behind its "`trimoe NAME`:"."""
    spec = find_spec(entry.module)
    if spec is None or spec.origin is None:
        return ""
    head = (ast.get_docstring(ast.parse(Path(spec.origin).read_bytes())) or "").partition("\n")[0]
    purpose = head.partition("`: ")[2]
    return purpose[:1].upper() + purpose[1:]
