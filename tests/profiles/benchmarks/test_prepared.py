"""The benchmark of prepared forms: what it tries, prints, and when it fails."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from profiles.benchmarks.prepared.answering import Opening, finish, start
from profiles.benchmarks.prepared.command import bench_prepared
from profiles.benchmarks.prepared.faults import Faults, Finding


def findings(right: int) -> list[Finding]:
    return [Finding(fault="killed at random moments", runs=30, right=right, means="the next one has it")]


@pytest.mark.parametrize(("right", "code"), [(30, 0), (29, 1)])
def test_a_wrong_answer_fails(bare_family: Path, monkeypatch: pytest.MonkeyPatch, right: int, code: int) -> None:
    monkeypatch.setattr(Faults, "find", lambda self: iter(findings(right)))
    done = CliRunner().invoke(bench_prepared, [str(bare_family)])
    assert done.stdout == f"killed at random moments        {right} of 30 right: the next one has it\n"
    assert done.exit_code == code
    document = json.loads(CliRunner().invoke(bench_prepared, [str(bare_family), "--json"]).stdout)
    assert document["faults"] == [
        {"fault": "killed at random moments", "runs": 30, "right": right, "means": "the next one has it"}
    ]


def test_a_process_that_cannot_write_answers_without_and_right(quantised_family: Path, tmp_path: Path) -> None:
    plain, limited = (
        finish(start(Opening(family=quantised_family, dtype="int8", place=place, file_bytes=limit)))
        for place, limit in ((None, 0), (tmp_path / "forms", 10_000))
    )
    assert plain == limited and not limited.prepared


@pytest.mark.slow
def test_answers_are_right_whatever_happens(quantised_family: Path, tmp_path: Path) -> None:
    def found() -> Iterator[Finding]:
        opening = Opening(family=quantised_family, dtype="int8", place=tmp_path / "forms")
        yield from Faults(opening=opening, kills=30, seed=0, say=lambda text: None).find()

    assert [one for one in found() if one.right < one.runs] == []
