"""The benchmark of recommendations: what counts as met, and its table."""

import dataclasses

from click.testing import CliRunner

from profiles.benchmarks.__main__ import PROGRAM, benchmarks
from profiles.benchmarks.recommendations.regret import Bench

MET = Bench(rows=(), regrets={"stepwise": 0.03, "independent": 0.02, "estimated": 0.01}, covered=0.9)


def test_estimates_have_to_be_best_and_their_intervals_neither_too_wide_nor_too_narrow() -> None:
    assert MET.met
    assert not dataclasses.replace(MET, covered=0.93).met and not dataclasses.replace(MET, covered=0.87).met
    assert not dataclasses.replace(MET, regrets=MET.regrets | {"independent": 0.005}).met


def test_the_command_prints_a_row_a_kind_of_study() -> None:
    result = CliRunner().invoke(benchmarks, ["recommendations", "--trees", "1"], prog_name=PROGRAM)
    lines = result.stdout.splitlines()
    assert lines[1].split()[2:] == ["studies", "stepwise", "independent", "estimated", "inside,", "%"]
    assert [line.split()[0] for line in lines[2:]] == [*["normal,"] * 2, *["heavy,"] * 2, *["scaled,"] * 2, "all"]
