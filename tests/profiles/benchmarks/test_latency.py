"""The benchmark of the benchmark: what it compares with real answers, what it counts, when it fails."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from profiles.benchmarks import latency
from profiles.benchmarks.__main__ import PROGRAM, benchmarks
from profiles.benchmarks.latency import Answer, Comparison, figures
from profiles.latency.bench.grid import Cell
from profiles.latency.bench.meters import Reading
from profiles.latency.bench.samples import Visit
from tests.support.families import export_plan, model_source, plan_family
from tests.support.tiny_tokenizer import write_tiny_processor_files


def visit(cell: Cell, *, prefill: float, token: float) -> Visit:
    return Visit(
        cell=cell.name,
        taken="2026-11-21T17:00:00+00:00",
        second=1.0,
        vision_tokens=0,
        text_tokens=64,
        stages={"embeddings": 1.0, "prefill": prefill, "sampling": 0.5},
        decoded=((100.0, token - 0.25), (108.0, token + 0.25)),
        reading=Reading(clock_mhz=None, peak_memory_bytes=None, energy_j=None),
        waited=None,
    )


def comparison(batch: int, *, first_ms: float = 10.0, token_ms: float = 2.0) -> Comparison:
    cell = Cell(variant="b1", batch=batch, image=None, text_tokens=64)
    visits = tuple(visit(cell, prefill=8.5, token=9.0) for _ in range(4))
    later = tuple(visit(cell, prefill=9.0, token=1.5) for _ in range(4))
    answers = tuple(Answer(first_ms=first_ms, token_ms=token_ms) for _ in range(4))
    return Comparison(cell=cell, visits=visits, later=later, answers=answers)


def test_tokens_are_compared_at_the_middle_of_the_answer_and_stages_are_added_up() -> None:
    found = comparison(1, first_ms=8.0, token_ms=1.6)
    assert found.token_ratio == pytest.approx(2.0 / 1.6)
    assert found.first_ratio == pytest.approx(10.0 / 8.0)
    assert set(found.halves.values()) == {1.0}


def test_a_difference_above_its_limit_is_missed() -> None:
    good = figures([comparison(batch) for batch in latency.BATCHES])
    assert all(figure.met for figure in good)
    bad = figures([comparison(1, first_ms=10.4), comparison(4, token_ms=2.2)])
    missed = [figure.name for figure in bad if not figure.met]
    assert missed == ["batch 1: stages against first token", "batch 4: per token against generate"]


def test_a_family_is_compared_with_its_own_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "TOKENS", 4)
    monkeypatch.setattr(latency, "TEXT_TOKENS", 8)
    monkeypatch.setattr(latency, "TO_THE_MIDDLE", 2)
    monkeypatch.setattr(latency, "VARIANTS", 2)
    write_tiny_processor_files(model_source("molmoe", tmp_path / "source"))
    export_plan(plan_family(tmp_path / "source", removals=((), (2,)), top_ks=(4,)), tmp_path / "family")
    command = ["latency", str(tmp_path / "family"), "--engine", "torch", "--rounds", "2", "--threads", "1"]
    result = CliRunner().invoke(benchmarks, command, prog_name=PROGRAM)
    assert result.exit_code in (0, 1), result.output
    assert result.stdout.count("b5-k4/1/") == 2 and result.stdout.count("b4-k4/4/") == 2
    assert "batch 4: per token against generate" in result.stdout
