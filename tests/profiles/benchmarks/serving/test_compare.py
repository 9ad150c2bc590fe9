"""The benchmark of serving: its table, its exit code, and a short run of it on the demo."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from profiles.benchmarks.commands import serving as command
from profiles.benchmarks.serving import compare as measuring
from profiles.benchmarks.serving.compare import CHOOSING, HEAVY, LIGHT, Comparison, Run, shedding, tables
from profiles.benchmarks.serving.mix import Arrival
from profiles.benchmarks.serving.outcome import ANSWERED, REFUSED, Outcome, attainment
from tests.support.paths import ROOT

ESTIMATOR = ROOT / "profiles" / "data" / "latency" / "demo-onnx-float32.estimator.json"


def run(load: str, policy: str, in_time: int) -> Run:
    """Ten requests, of which one was refused."""
    outcomes = [
        Outcome(
            arrival=Arrival(at_s=0.1, question=0, budget_ms=50.0),
            kind=ANSWERED if place else REFUSED,
            took_ms=(40.0 if place <= in_time else 60.0) if place else None,
            variant="b16-k4" if place else None,
            score=0.5 if place else None,
        )
        for place in range(10)
    ]
    found = attainment(outcomes, seconds=1.0)
    return Run(load=load, policy=policy, rate_per_s=10.0, attainment=found, outcomes=tuple(outcomes))


def comparison(*, fixed_in_time: int = 2) -> Comparison:
    fixed = {(LIGHT, "b16-k8"): 9, (HEAVY, "b16-k8"): fixed_in_time}
    counts = fixed | {(load, server): 9 for server in (shedding("b16-k8"), CHOOSING) for load in (LIGHT, HEAVY)}
    return Comparison(
        whole="b16-k8",
        alone_ms=10.0,
        capacity_per_s=90.0,
        budgets_ms=(50.0,),
        runs=tuple(run(*name, count) for name, count in counts.items()),
        overhead=1.02,
    )


@pytest.mark.parametrize(("fixed_in_time", "code"), [(2, 0), (9, 1)])
def test_it_fails_where_a_target_is_missed(
    bare_family: Path, monkeypatch: pytest.MonkeyPatch, fixed_in_time: int, code: int
) -> None:
    found = comparison(fixed_in_time=fixed_in_time)
    monkeypatch.setattr(measuring, "compare", lambda *_, **__: found)
    monkeypatch.setattr(command, "_questions", lambda served, seed: ())
    arguments = [str(bare_family), "--estimator", str(ESTIMATOR)]
    result = CliRunner().invoke(command.bench_serving, arguments)
    assert (result.exit_code, result.stdout) == (code, "\n".join(tables(found)) + "\n")
    document = json.loads(CliRunner().invoke(command.bench_serving, [*arguments, "--json"]).stdout)
    assert document["runs"][0]["outcomes"][1]["arrival"] == {"at_s": 0.1, "question": 0, "budget_ms": 50.0}


def test_the_table_has_shares_variants_and_figures_in_80_columns() -> None:
    text = list(tables(comparison()))
    assert text[1] == "load, server            per s accepted refused in time  of all baseline correct"
    assert text[4] == "light, b16-k8 shedding   10.0   90.0 %  10.0 % 100.0 %  90.0 %        –  50.0 %"
    assert text[6].startswith("light, family  ") and text[7].startswith("heavy, family  ")
    assert text[8] == "light, b16-k8: b16-k4 9; 9 answered, 1 refused"
    assert text[-4].split() == ["accepted", "in", "budget,", "light", "load", "1.00", "≥", "0.95", "met"]
    assert max(map(len, text)) <= 80


@pytest.mark.slow
def test_a_short_run_on_the_demo_measures_all_of_it(demo_family: Path) -> None:
    arguments = [str(demo_family), "--estimator", str(ESTIMATOR), "--seconds", "2", "--json"]
    result = CliRunner().invoke(command.bench_serving, arguments)
    document = json.loads(result.stdout)
    assert document["capacity_per_s"] > 0 and document["overhead"] > 0.5
    assert [one["load"] for one in document["runs"]] == [LIGHT, HEAVY] * 3
    assert all(one["attainment"]["requests"] == len(one["outcomes"]) > 0 for one in document["runs"])
