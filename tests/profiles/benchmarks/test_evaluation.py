"""The benchmark of evaluation: what it counts, what it prints, when it fails."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from profiles.accuracy import answerer
from profiles.benchmarks import evaluation as bench_eval
from profiles.benchmarks.commands import eval as command
from profiles.benchmarks.evaluation import EvalRate, whole_rate
from profiles.datasets.digits.dataset import demo_dataset
from tests.support.echo_engine import EchoEngine


def test_every_sample_is_answered_alone_and_in_batches_in_every_round() -> None:
    engine = EchoEngine(str.upper)
    rates = bench_eval.bench_eval(engine, [demo_dataset("digits-vqa", 5)], batch_size=2, rounds=2, say=lambda _: None)
    assert engine.batches == [2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 2, 2, 1, 1, 1, 1, 1, 1]  # a batch and a sample warm up
    (rate,) = rates
    assert (rate.dataset, rate.samples, rate.same) == ("digits-vqa", 5, 5)
    assert rate.alone_s > 0 and rate.batched_s > 0 and rate.batch_size == 2


def test_answers_that_differ_are_counted() -> None:
    engine = EchoEngine(lambda prompt: str(engine.batches[-1]))
    (rate,) = bench_eval.bench_eval(engine, [demo_dataset("digits-vqa", 5)], batch_size=2, rounds=1, say=lambda _: None)
    assert rate.same == 1  # the last batch has one sample


def test_all_data_sets_count_by_their_time() -> None:
    rates = [
        EvalRate(dataset="a", samples=2, batch_size=2, alone_s=9.0, batched_s=1.0, same=2),
        EvalRate(dataset="b", samples=3, batch_size=3, alone_s=1.0, batched_s=1.0, same=2),
    ]
    assert whole_rate(rates) == EvalRate(dataset="all", samples=5, batch_size=3, alone_s=10.0, batched_s=2.0, same=4)
    assert whole_rate(rates).ratio == 5.0


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from types import SimpleNamespace

    manifest = SimpleNamespace(variants=(SimpleNamespace(id="b16-k8"),))
    monkeypatch.setattr(command, "read_manifest", lambda folder: manifest)
    monkeypatch.setattr(
        answerer, "open_answerers", lambda names, *_, **__: ((names[0], lambda variant: EchoEngine(str.upper)),)
    )
    return tmp_path


def measured(monkeypatch: pytest.MonkeyPatch, *, batched_s: float, same: int = 4) -> None:
    rate = EvalRate(dataset="coco-2014-vqa", samples=4, batch_size=4, alone_s=10.0, batched_s=batched_s, same=same)
    monkeypatch.setattr(bench_eval, "bench_eval", lambda *_, **__: (rate,))


def test_the_table_has_rates_and_fits_eighty_columns(family: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, batched_s=2.0)
    result = CliRunner().invoke(command.bench_eval, [str(family), "--data", "digits-vqa"])
    assert result.exit_code == 0, result.output
    assert "coco-2014-vqa" in result.output and "target ≥ 5: met" in result.output
    assert max(map(len, result.output.splitlines())) <= 80


@pytest.mark.parametrize(("batched_s", "same", "met"), [(2.5, 4, False), (1.0, 3, True)])
def test_a_low_ratio_and_answers_that_differ_fail(
    family: Path, monkeypatch: pytest.MonkeyPatch, batched_s: float, same: int, met: bool
) -> None:
    measured(monkeypatch, batched_s=batched_s, same=same)
    result = CliRunner().invoke(command.bench_eval, [str(family), "--data", "digits-vqa", "--json"])
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["met"] is met
    figures = {
        "dataset": "all",
        "samples": 4,
        "batch_size": 4,
        "alone_s": 10.0,
        "batched_s": batched_s,
        "ratio": 10 / batched_s,
        "same": same,
    }
    assert document["figures"][-1] == figures and document["batch_size"] == 32


def test_batches_that_the_samples_do_not_fill_are_named_by_their_size(family: Path) -> None:
    arguments = [str(family), "--data", "digits-vqa", "--limit", "8", "--rounds", "1"]
    table = CliRunner().invoke(command.bench_eval, arguments).stdout
    assert "8 at a time" in table and "32 at a time" not in table
    assert "digits-vqa has 8 samples measured: its batches are of 8, not 32" in table
    assert max(map(len, table.splitlines())) <= 80
    figures = json.loads(CliRunner().invoke(command.bench_eval, [*arguments, "--json"]).stdout)["figures"]
    assert [one["batch_size"] for one in figures] == [8, 8]
    assert "its batches" not in CliRunner().invoke(command.bench_eval, [*arguments, "--batch", "8"]).stdout


def test_the_command_has_help_without_loading_torch() -> None:
    result = CliRunner().invoke(command.bench_eval, ["--help"])
    assert result.exit_code == 0
    assert "one sample at a time" in " ".join(result.output.split())
