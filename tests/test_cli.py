"""The command line as a whole: every command has help, help is light, layers import one way, the README tells the truth about commands."""

import ast
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from runtime.cli import main

ROOT = Path(__file__).parent.parent
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
    code = f"import sys; sys.argv = ['trimoe', *{arguments!r}]\nfrom runtime.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    code += f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_list_of_commands_says_what_each_is_for_and_imports_none() -> None:
    code = "import sys; sys.argv = ['trimoe', '--help']\nfrom runtime.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    code += "print([name for name in sys.modules if '.commands.' in name])"
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
