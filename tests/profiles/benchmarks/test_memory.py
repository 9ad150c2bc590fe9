"""The benchmark of memory: who answers before it is taken, what it prints, when it fails."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from profiles.benchmarks.commands import memory as command
from profiles.benchmarks.memory import variants
from profiles.benchmarks.memory.variants import LONG_PROMPTS, Resident, grown, resident
from runtime.documents.manifest import read_manifest
from tests.support import toy_language
from tests.support.toy_language import ToyEngine


def test_one_is_measured_when_the_largest_has_read_much_and_all_when_each_has_answered(
    bare_family: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = read_manifest(bare_family)
    monkeypatch.setattr(toy_language, "VARIANTS", tuple(one.id for one in manifest.variants))
    engine, answered = ToyEngine(), []

    def growth() -> int:
        answered.append((list(engine.loaded), engine.names().count("prefill")))
        return 100 * len(engine.loaded)

    count = len(manifest.variants)
    assert grown(engine, manifest, 16, growth) == (100, 100 * count)
    largest = max(manifest.variants, key=lambda one: (len(one.layers), one.top_k))
    assert answered[0] == ([largest.id], LONG_PROMPTS)
    assert sorted(answered[1][0]) == sorted(one.id for one in manifest.variants)
    assert answered[1][1] == LONG_PROMPTS + count - 1


def test_a_process_of_its_own_holds_the_family(demo_family: Path) -> None:
    found = resident(demo_family, "onnx", dtype="float32", threads=1, tokens=16)
    assert found.variants == 1
    assert found.one_bytes > 0 and found.ratio == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(("every", "code"), [(1_150, 0), (1_160, 1)])
def test_a_missed_target_fails(bare_family: Path, monkeypatch: pytest.MonkeyPatch, every: int, code: int) -> None:
    monkeypatch.setattr(
        variants,
        "resident",
        lambda family, engine, **_: Resident(
            form="onnx int8", variants=6, one_bytes=1_000_000_000, all_bytes=every * 1_000_000
        ),
    )
    result = CliRunner().invoke(command.bench_memory, [str(bare_family), "--engine", "onnx"])
    assert result.exit_code == code
    assert result.stdout == (
        f"onnx int8: one variant 1,000 MB, all 6 {every:,} MB: {every / 1000:.3f} (target ≤ 1.15)\n"
    )
    document = json.loads(CliRunner().invoke(command.bench_memory, [str(bare_family), "--json"]).stdout)
    assert [one["all_bytes"] for one in document["engines"]] == [every * 1_000_000] * 2
