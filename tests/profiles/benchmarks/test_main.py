"""`python -m profiles.benchmarks`: one group whose errors are one line."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from profiles.benchmarks.__main__ import PROGRAM, benchmarks


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "nowhere", "--scratch", "."], "Error: nowhere: no such folder"),
        (["eval", "."], "Error: .: no manifest.json: not a family that trimoe exported"),
    ],
)
def test_an_error_is_one_line_and_exit_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(benchmarks, arguments, prog_name=PROGRAM)
    assert (result.exit_code, result.stderr) == (1, message + "\n")
    assert result.stdout == ""


def test_an_option_given_twice_is_refused_as_trimoe_refuses_it() -> None:
    result = CliRunner().invoke(benchmarks, ["eval", ".", "--rounds", "2", "--rounds", "3"], prog_name=PROGRAM)
    assert result.exit_code == 2 and "--rounds is given 2 times; it takes one value" in result.stderr


def test_help_names_the_program_and_says_what_each_benchmark_compares() -> None:
    text = CliRunner().invoke(benchmarks, ["--help"], prog_name=PROGRAM).stdout
    assert text.startswith(f"Usage: {PROGRAM} ")
    assert "An export against cp and sha256sum." in text and "..." not in text.partition("Commands:")[2]
