"""The soak: what it tells and when it fails, and a short run of it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from profiles.benchmarks.commands import soak as command
from profiles.benchmarks.soak import recorded
from profiles.benchmarks.soak import soak as soaking
from profiles.benchmarks.soak.faults import broken_variant_copy, damaged_copy, point
from profiles.benchmarks.soak.memory import Growth
from profiles.benchmarks.soak.verdict import Verdict
from runtime.documents.family_layout import graph_data_path, graph_path
from tests.support.paths import DEMO, ROOT

OPTIONS = [
    "--estimator",
    str(ROOT / "profiles" / "data" / "latency" / "demo-onnx-float32.estimator.json"),
    "--baseline",
    str(DEMO / "baseline.json"),
]
FLAT = Growth(bytes=(500_000, 501_000), threads=(30, 30), files=(12, 13))
ANSWERS = {("whole", "answered"): 7}
GROWING = Growth(bytes=(500_000, 550_000), threads=(30, 30), files=(12, 13))


@pytest.mark.parametrize(
    ("found", "problems", "last"),
    [(FLAT, (), "all well"), (None, (), "all well"), (GROWING, (), "not well"), (FLAT, ("whole: lost",), "not well")],
)
def test_it_fails_for_problems_and_for_growth(
    bare_family: Path,
    monkeypatch: pytest.MonkeyPatch,
    found: Growth | None,
    problems: tuple[str, ...],
    last: str,
) -> None:
    verdict = Verdict(seconds=9.0, counts=ANSWERS, changes=3, swaps=2, faults=4, problems=problems, growth=found)
    monkeypatch.setattr(soaking, "soak", lambda *_, **__: verdict)
    monkeypatch.setattr(recorded, "record_answers", lambda *_, **__: ())
    result = CliRunner().invoke(command.bench_soak, [str(bare_family), *OPTIONS])
    assert result.exit_code == (last != "all well")
    assert result.stdout.splitlines()[-1] == last
    assert "7 requests, 3 changes of the family, 4 faults of the engine" in result.stdout
    assert all(f"WRONG: {problem}" in result.stdout for problem in problems)
    assert ("GROWING" in result.stdout) == (found is GROWING)


def test_copies_are_damaged_where_they_should_be_and_the_family_is_not(tmp_path: Path) -> None:
    family = tmp_path / "family"
    for path in (graph_data_path("float32"), graph_path("float32", "b2-k1")):
        (family / path).parent.mkdir(parents=True, exist_ok=True)
        (family / path).write_bytes(b"12345")
    weights = damaged_copy(family, tmp_path / "weights", "float32")
    graph = broken_variant_copy(family, tmp_path / "graph", "float32", "b2-k1")
    assert (weights / graph_data_path("float32")).read_bytes() == b"12245"
    assert (weights / graph_path("float32", "b2-k1")).read_bytes() == b"12345"
    assert (graph / graph_path("float32", "b2-k1")).read_bytes() == b"12245"
    assert (family / graph_data_path("float32")).read_bytes() == b"12345"


def test_a_link_is_pointed_elsewhere_at_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        point(tmp_path / "link", tmp_path / name)
        assert (tmp_path / "link").resolve() == tmp_path / name


@pytest.mark.slow
def test_a_short_soak_of_the_demo_is_well(demo_family: Path) -> None:
    result = CliRunner().invoke(command.bench_soak, [str(demo_family), *OPTIONS[:2], "--minutes", "0.3"])
    assert result.stdout.splitlines()[-1] == "all well", result.stdout
