"""The command line as a whole: every command has help, help is light, layers import one way, the README tells the truth
about commands."""

import ast
import errno
import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from runtime.cli import Commands, main
from runtime.errors import TrimoeError
from tests.support.paths import ROOT

COMMANDS = sorted(entry_points(group="trimoe.commands").names)
LAYERS = {"runtime": {"runtime"}, "exporter": {"runtime", "exporter"}, "profiles": {"runtime", "exporter", "profiles"}}
HEAVY = ("torch", "transformers", "onnxruntime", "sklearn", "scipy", "matplotlib")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_for_itself_and_each_option(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts[0]} has no help"
    assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_imports_no_heavy_package(arguments: list[str]) -> None:
    code = (
        f"import sys; sys.argv = ['trimoe', *{arguments!r}]\nfrom runtime.cli import main\ntry: main()\nexcept "
        "SystemExit: pass\n"
    )
    code += f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_list_of_commands_says_what_each_is_for_and_imports_none() -> None:
    code = (
        "import sys; sys.argv = ['trimoe', '--help']\nfrom runtime.cli import main\ntry: main()\nexcept "
        "SystemExit: pass\n"
    )
    code += "print([n for n, found in sys.modules.items() if '.commands.' in n and not hasattr(found, '__path__')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    listed = done.stdout.partition("Commands:")[2]
    for name in COMMANDS:
        assert re.search(rf"^  {name} +[A-Z].+$", listed, re.MULTILINE), name
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text()
    for name in COMMANDS:
        assert f"trimoe {name}" in readme


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", sorted(LAYERS))
def test_packages_import_only_themselves_and_those_below(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        assert imported(path) & set(LAYERS) <= LAYERS[package], path


def test_an_unknown_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(main, ["nonsense"])
    assert result.exit_code == 2
    assert "No such command 'nonsense'" in result.output


def fail_with(error: Exception) -> click.Command:
    def callback(**_: object) -> None:
        raise error

    value = [
        click.Option(["--out", "-o"], help="One."),
        click.Option(["--remove"], multiple=True),
        click.Option(["--flag"], is_flag=True),
    ]
    return click.Command("some", params=value, callback=callback)


def invoke(command: click.Command, *arguments: str) -> Result:
    group = Commands("trimoe")
    group.get_command = lambda ctx, name: command  # type: ignore[method-assign]
    return CliRunner().invoke(group, ["some", *arguments])


@pytest.mark.parametrize(
    "arguments",
    [("--out", "a", "--out", "b"), ("--out=a", "--out=a"), ("-o", "a", "--out=b"), ("-oa", "--flag", "-ob")],
)
def test_an_option_of_one_value_given_twice_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    result = invoke(fail_with(TrimoeError("ran")), *arguments)
    assert result.exit_code == 2
    assert "--out is given 2 times; it takes one value" in result.output
    assert "Usage: trimoe some" in result.output


@pytest.mark.parametrize(
    "arguments",
    [("--remove", "1", "--remove", "1"), ("--flag", "--flag"), ("--out", "--out"), ("--remove=--out", "--out=a")],
)
def test_what_may_be_repeated_is_not_refused(arguments: tuple[str, ...]) -> None:
    result = invoke(fail_with(TrimoeError("ran")), *arguments)
    assert (result.exit_code, result.output) == (1, "Error: ran\n")


def test_help_is_shown_whatever_else_is_given() -> None:
    assert invoke(fail_with(TrimoeError("ran")), "--out", "a", "--out", "b", "--help").exit_code == 0


def test_a_system_error_that_nothing_mapped_is_one_line(tmp_path: Path) -> None:
    result = invoke(fail_with(OSError(errno.EACCES, "Permission denied", str(tmp_path))))
    assert (result.exit_code, result.output) == (1, f"Error: {tmp_path}: Permission denied\n")


HOSTILE = "a\nname\r\x1b[2J\u2028\udcff"
SHOWN = r"a\nname\r\x1b[2J\u2028\udcff"
LIBRARY = (
    "cannot run\n  the node\nException raised from x at ../c10/x.cpp:1 (most recent call first):\nframe #0: c10::E()"
)


def with_note(error: TrimoeError) -> TrimoeError:
    error.add_note(f"{HOSTILE}: kept for the next run")
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TrimoeError(f"{HOSTILE}/config.json: cannot be read"), f"{SHOWN}/config.json: cannot be read"),
        (TrimoeError(LIBRARY), r"cannot run\n  the node"),
        (with_note(TrimoeError("the disk is full")), f"the disk is full; {SHOWN}: kept for the next run"),
        (click.ClickException(f"{HOSTILE}: {LIBRARY}"), rf"{SHOWN}: cannot run\n  the node"),
        (OSError(errno.EACCES, "Permission denied", HOSTILE), f"{SHOWN}: Permission denied"),
        (TrimoeError(f"tensor {'x' * 100_000}: is missing"), f"tensor {'x' * 80}…{'x' * 78}: is missing"),
    ],
)
def test_an_error_is_one_line_whatever_is_in_it(error: Exception, said: str) -> None:
    result = invoke(fail_with(error))
    assert (result.exit_code, result.output) == (1, f"Error: {said}\n")


def test_a_usage_error_is_one_line_below_the_usage() -> None:
    result = invoke(fail_with(click.UsageError(f"{HOSTILE} is no number")))
    assert result.exit_code == 2
    assert result.output.splitlines()[-1] == f"Error: {SHOWN} is no number"
    assert "Usage: trimoe some" in result.output
    for arguments in ([f"--{HOSTILE}"], [HOSTILE]):
        refused = CliRunner().invoke(main, arguments)
        assert refused.exit_code == 2
        assert r"a\nname" in refused.output.splitlines()[-1]


def trimoe_with(body: str) -> list[str]:
    """A process that runs a command of this body through the real entry."""
    code = f"import click\nfrom runtime.cli import Commands\ndef run(): {body}\ngroup = Commands('trimoe')\n"
    code += "group.get_command = lambda ctx, name: click.Command('some', callback=run)\ngroup.main(['some'])"
    return [sys.executable, "-c", code]


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_full_standard_output_is_one_line_and_exit_status_1(size: int) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            trimoe_with(f"click.echo('x' * {size})"), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (1, "Error: cannot read or write: No space left on device\n")


def test_a_reader_that_went_away_ends_the_command_quietly() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        trimoe_with("click.echo('x' * 100_000)"), stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


def test_paths_that_are_not_utf_8_are_printed_escaped() -> None:
    done = subprocess.run(trimoe_with("click.echo('bad' + chr(0xDCFF))"), capture_output=True, check=True)
    assert done.stdout == b"bad\\udcff\n"
