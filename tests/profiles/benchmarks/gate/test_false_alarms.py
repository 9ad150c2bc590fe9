"""The simulation of unchanged variants."""

from profiles.benchmarks.gate.false_alarms import simulate


def test_shares_are_counted_over_all_runs_and_families() -> None:
    found = simulate(5, 1.0, samples=200, runs=60)
    assert found.runs == 60
    assert 0 <= found.failed <= 0.15 and 0 <= found.families_failed <= 0.5
    assert found.covered >= 0.85
