"""The benchmark of recalibration: two machines that are known, a few cells of the second."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from profiles.benchmarks.__main__ import PROGRAM, benchmarks
from runtime.documents.latency.profile_document import dump_profile
from tests.support.simulated_machine import Machine
from tests.support.stage_profiles import simulated_profile


@pytest.fixture
def profiles(tmp_path: Path) -> tuple[Path, Path]:
    slow = Machine(bandwidth=22e6, arithmetic=0.7e8, call_ms=1.1)
    for name, machine in (("a.json", Machine()), ("b.json", slow)):
        (tmp_path / name).write_bytes(dump_profile(simulated_profile(machine)))
    return tmp_path / "a.json", tmp_path / "b.json"


def invoke(*arguments: object) -> Result:
    command = ["recalibration", *map(str, arguments)]
    return CliRunner().invoke(benchmarks, command, prog_name=PROGRAM)


def test_errors_before_and_after_are_of_cells_that_were_not_seen(profiles: tuple[Path, Path]) -> None:
    result = invoke(*profiles, "--repeats", "2")
    assert result.exit_code == 0, result.output
    before, after = (float(part.split()[1]) for part in result.stdout.splitlines()[1].split(";")[0].split(", "))
    assert before > 20 and after < 8
    assert result.stdout.rstrip().endswith("met")


def test_more_cells_than_there_are_is_refused(profiles: tuple[Path, Path]) -> None:
    result = invoke(*profiles, "--cells", "135")
    assert result.exit_code == 2 and "135 cells leave none of 135 to predict" in result.output
