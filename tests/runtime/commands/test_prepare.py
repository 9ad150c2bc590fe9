"""`trimoe prepare`: what it says, makes and removes."""

import json
import re
from pathlib import Path

import pytest

from tests.support.commands import trimoe


@pytest.fixture
def family(quantised_family: Path) -> Path:
    return quantised_family


def test_it_makes_tells_finds_and_removes(family: Path, tmp_path: Path) -> None:
    place = tmp_path / "prepared"
    first = trimoe("prepare", family, "--prepared", place)
    assert re.fullmatch(
        r"int8: \d\S* .?B, \d\S* .?B of them packed, made in \d+\.\d s; 4 variants tested in \d+\.\d s\n"
        rf"  {place}/int8-\w+\n",
        first.stdout,
    )
    again = json.loads(trimoe("prepare", family, "--prepared", place, "--no-test", "--json").stdout)["prepared"]
    assert [(one["dtype"], one["made"], one["tested"]) for one in again] == [("int8", False, 0)]
    assert Path(again[0]["folder"]).is_dir() and again[0]["bytes"] > again[0]["packed_bytes"] > 0
    gone = trimoe("prepare", family, "--prepared", place, "--remove")
    assert re.fullmatch(rf"Removed \d\S* .?B from {place}\n", gone.stdout)
    assert [path.name for path in place.iterdir()] == [".lock"]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--dtype", "float32"], 1, "float32 runs on weights as they are stored: only int8 and int4 gain"),
        (["--dtype", "int4"], 1, "its manifest lists no graphs in int4"),
        (["--prepared", "off"], 2, "there is nothing to prepare with --prepared off"),
        (["--prepared", "/dev/null/x"], 1, "cannot be prepared there: Not a directory"),
    ],
)
def test_what_cannot_be_prepared_is_said(family: Path, options: list[str], code: int, said: str) -> None:
    done = trimoe("prepare", family, *options)
    assert done.exit_code == code and said in done.stderr


def test_families_without_quantised_graphs_are_refused(bare_family: Path) -> None:
    done = trimoe("prepare", bare_family)
    assert done.exit_code == 1 and "the family has no graphs in int8 or int4" in done.stderr
