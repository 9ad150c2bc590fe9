"""The commands of the demo."""

from pathlib import Path

from profiles.walkthrough.steps import Paths, commands
from runtime.cli import main


def test_every_step_is_a_command_with_options_that_it_has() -> None:
    for _, arguments in commands(Paths(family=Path("artifacts/demo"))):
        with main.make_context("trimoe", list(arguments), resilient_parsing=True) as context:
            name, command, rest = main.resolve_command(context, list(arguments))
        assert name == arguments[0]
        assert command is not None
        known = {option for parameter in command.params for option in parameter.opts}
        assert {argument for argument in rest if argument.startswith("--")} <= known


def test_what_is_measured_stands_beside_the_family() -> None:
    paths = Paths(family=Path("artifacts/demo"))
    assert paths.latency == Path("artifacts/demo-measured/latency.json")
    assert paths.family not in paths.estimator.parents
