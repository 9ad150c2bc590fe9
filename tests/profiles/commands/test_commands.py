"""What the commands of profiles share: groups of options, and packages that are missing."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from runtime.commands.option_group import option_group
from tests.support.small_family import export_small, small_plan, small_source


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """Two options."""

    width: int
    height: int


@click.command()
@click.option("--name", default="box")
@option_group("size", Size, click.option("--width", type=int), click.option("--height", type=int, default=2))
@click.option("--last", is_flag=True)
@click.pass_context
def draw(context: click.Context, name: str, size: Size, last: bool) -> None:
    """Draw a box."""
    click.echo(f"{name} {size} {last}")


def test_a_group_of_options_reaches_the_command_as_one_value() -> None:
    assert CliRunner().invoke(draw, ["--width", "3", "--last"]).stdout == "box Size(width=3, height=2) True\n"


def test_grouped_options_stand_in_the_help_in_their_order() -> None:
    text = CliRunner().invoke(draw, ["--help"]).stdout
    places = [text.index(option) for option in ("--name", "--width", "--height", "--last")]
    assert places == sorted(places)


WITHOUT = "import sys; sys.modules[sys.argv.pop(1)] = None; from runtime.cli import main; main()"


@pytest.mark.parametrize(("package", "command"), [("scipy", "eval"), ("scipy", "gate")])
def test_a_package_that_is_missing_is_named_with_what_to_install(tmp_path: Path, package: str, command: str) -> None:
    family = tmp_path / "family"
    export_small(small_plan(small_source(tmp_path / "source")), family)
    options = {"eval": ["--data", "demo"], "gate": ["--baseline", str(family / "manifest.json")]}[command]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, package, command, str(family), *options], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"Error: trimoe {command} needs the package {package}, which is not installed: "
        "pip install 'trimoe[profiles,cpu]'\n"
    )
