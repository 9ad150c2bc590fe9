"""A group of options reaches a command as one value."""

from dataclasses import dataclass

import click
from click.testing import CliRunner

from runtime.commands.option_group import option_group


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
