"""The benchmark of batching: what it times and counts, what it prints, when it fails."""

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from profiles.benchmarks.batching import requests, throughput
from profiles.benchmarks.batching.mixed import bench_mixed, spread_variants
from profiles.benchmarks.batching.requests import NoTexts
from profiles.benchmarks.batching.throughput import BatchingBench, Contenders, Load, bench_batching, four_variants
from profiles.benchmarks.commands import batching as command
from profiles.benchmarks.figures import Figure, at_least
from runtime.documents.manifest import read_manifest
from runtime.engines import open as engines
from tests.support.toy_language import VARIANTS, LetterReader, ToyEngine


def slowly(what: str, prompts: object) -> None:
    time.sleep(0.001 if what == "decode" else 0.0)


def test_every_contender_is_timed_and_newcomers_wait_for_a_chunk_and_a_step_at_most() -> None:
    said: list[str] = []
    load = Load(requests=6, prompt_tokens=8, new_tokens=12)
    bench = bench_batching(ToyEngine(fault=slowly), NoTexts(), VARIANTS, rounds=2, say=said.append, load=load)
    assert said == ["round 0 of 2", "round 1 of 2", "round 2 of 2", "newcomers"]
    assert len(bench.rates) == 5 and all(rate > 0 for rate in bench.rates.values())
    assert [figure.met for figure in bench.figures[-2:]] == [True, True]


def test_each_step_of_those_together_counts_once_for_every_request(monkeypatch: pytest.MonkeyPatch) -> None:
    watches = [requests.Stopwatch(), requests.Stopwatch()]
    watches[0].moments = [0.0, 1.0, 2.0, 3.0, 4.0]
    watches[1].moments = [1.5, 2.001, 3.001, 4.001, 5.001]  # its first token follows its prompt
    contenders = Contenders(ToyEngine(), NoTexts(), Load(requests=2))
    monkeypatch.setattr(contenders, "_answered", lambda prompts: watches)
    assert contenders.together(VARIANTS[:1]) == pytest.approx(2.0)
    watches[1].moments = [3.5, 4.001, 5.001]
    with pytest.raises(ValueError, match="too short: one ended before all had begun"):
        contenders.together(VARIANTS[:1])


def test_the_variants_are_the_extremes_of_depth_and_experts(bare_family: Path) -> None:
    manifest = read_manifest(bare_family)
    depths = {len(one.layers) for one in manifest.variants}
    chosen = [manifest.variant(one) for one in four_variants(manifest)]
    assert [len(one.layers) for one in chosen] == [max(depths)] * 2 + [min(depths)] * 2
    assert chosen[0].top_k != chosen[1].top_k and chosen[0].top_k[-1] > chosen[1].top_k[-1]


@pytest.mark.parametrize(("value", "code", "verdict"), [(2.5, 0, "met"), (1.5, 1, "MISSED")])
def test_a_missed_target_fails(
    bare_family: Path, monkeypatch: pytest.MonkeyPatch, value: float, code: int, verdict: str
) -> None:
    figure: Figure = at_least("together over one at a time, one variant", value, 2.0)
    bench = BatchingBench(rates={"together": 123.4}, figures=(figure,), rounds=3)
    monkeypatch.setattr(throughput, "bench_batching", lambda *_, **__: bench)
    monkeypatch.setattr(engines, "open_engine", lambda *_, **__: ToyEngine())
    monkeypatch.setattr(requests, "PromptReader", lambda folder: LetterReader())
    result = CliRunner().invoke(command.bench_batching, [str(bare_family), "--only", "scheduler"])
    assert result.exit_code == code and verdict in result.stdout and "123.4 tokens/s" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    document = json.loads(
        CliRunner().invoke(command.bench_batching, [str(bare_family), "--only", "scheduler", "--json"]).stdout
    )
    assert document["figures"] == [
        {"name": figure.name, "value": figure.value, "target": "≥ 2", "met": verdict == "met"}
    ]


def test_mixed_batches_are_timed_against_one_at_a_time_and_a_batch_for_each_variant(bare_family: Path) -> None:
    said: list[str] = []
    bench = bench_mixed(ToyEngine(fault=slowly), VARIANTS, dtype="int8", rounds=2, say=said.append)
    rows = f"{4 * len(VARIANTS)} of {len(VARIANTS)} variants"
    assert list(bench.rates) == [f"{rows}, {way}" for way in ("one at a time", "a batch for each variant", "one batch")]
    assert [figure.target for figure in bench.figures] == ["≥ 2.2", "≥ 1.15", "≥ 0.99"]
    assert bench.figures[0].met and len(said) == 3
    untargeted = bench_mixed(ToyEngine(), VARIANTS, dtype="float32", rounds=1, say=said.append)
    assert [figure.met for figure in untargeted.figures[:2]] == [None, None]


def test_variants_are_spread_over_the_family(bare_family: Path) -> None:
    manifest = read_manifest(bare_family)
    assert spread_variants(manifest, 99) == tuple(
        one.id for one in sorted(manifest.variants, key=lambda one: (-len(one.layers), [-k for k in one.top_k]))
    )
    assert len(set(spread_variants(manifest, 3))) == 3
