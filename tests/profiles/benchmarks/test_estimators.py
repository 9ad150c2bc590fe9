"""The benchmark of estimators: who predicts best from few cells of a machine that is known, and its picture."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from click.testing import CliRunner

from profiles.benchmarks.__main__ import PROGRAM, benchmarks
from profiles.benchmarks.error_picture import error_picture
from profiles.benchmarks.estimators import Row, compare, is_lowest
from runtime.documents.latency.profile_document import dump_profile
from tests.support.simulated_machine import Machine, observe
from tests.support.stage_profiles import simulated_profile

ROWS = (
    Row(cells=10, errors={"trimoe": 0.05, "lookup": 0.2, "network": 0.3}),
    Row(cells=20, errors={"trimoe": 0.03, "lookup": 0.1, "network": 0.02}),
)


def test_trimoe_is_lowest_from_few_cells() -> None:
    rows = compare(observe(Machine()), repeats=1)
    assert [row.cells for row in rows] == [10, 20, 50, 100]
    assert is_lowest(rows)
    assert rows[-1].errors["trimoe"] < 0.05
    assert is_lowest(ROWS[:1]) and not is_lowest(ROWS)


def test_the_command_prints_a_table_and_writes_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.json").write_bytes(dump_profile(simulated_profile(Machine())))
    monkeypatch.setattr("profiles.benchmarks.estimators.SIZES", (10, 20))
    command = ["estimators", str(tmp_path / "a.json"), "--repeats", "1", "--figure", str(tmp_path / "a.svg")]
    result = CliRunner().invoke(benchmarks, command, prog_name=PROGRAM)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[1].split() == ["cells", "trimoe", "lookup", "network"]
    picture = ElementTree.parse(tmp_path / "a.svg").getroot()
    texts = ["".join(one.itertext()) for one in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"trimoe", "lookup", "network", "10", "20"} <= set(texts)


def test_lines_of_a_picture_rise_with_the_error() -> None:
    picture = ElementTree.fromstring(error_picture(ROWS, "a & b"))
    lines = picture.findall("{http://www.w3.org/2000/svg}polyline")
    ends = [[float(place.split(",")[1]) for place in line.attrib["points"].split()] for line in lines]
    assert ends[0][0] < ends[0][1] and ends[2][0] < ends[0][0]
    assert len({line.attrib["stroke-dasharray"] for line in lines}) == 3
    with pytest.raises(ValueError, match="two numbers of cells"):
        error_picture(ROWS[:1], "a")
