"""The export benchmark: what it asks for, how it measures, and what it prints."""

import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from profiles.benchmarks.commands.export import bench_export
from profiles.benchmarks.export import ExportBench, Round, batches, disk_bytes, request_options
from profiles.benchmarks.export import _run_export as run_export
from runtime.errors import PlanError, TrimoeError
from tests.support.families import bare_source


def test_a_round_measures_export_copy_memory_and_disk(tmp_path: Path) -> None:
    source = bare_source(tmp_path / "source", blocks=6, experts=8, top_k=8)
    result = CliRunner().invoke(
        bench_export, [str(source), "--scratch", str(tmp_path / "scratch"), "--rounds", "1", "--json"]
    )
    document = json.loads(result.stdout)[0]
    assert document["variants"] == 15
    assert document["peak_bytes"] > 0
    assert document["rounds"][0]["export_s"] > 0
    assert document["disk_bytes"] > document["unique_bytes"] > document["source_bytes"] // 2
    assert result.exit_code == (0 if document["within_limits"] else 1)
    assert "round 1 of 1: export" in result.stderr
    assert list((tmp_path / "scratch").iterdir()) == []


def test_the_table_says_which_limit_was_passed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bench = ExportBench(
        checkpoint=Path("source"),
        source_bytes=10**9,
        unique_bytes=10**9,
        disk_bytes=1_010_000_000,
        variants=15,
        source_warm=True,
        rounds=(Round(export_s=14.0, copy_s=4.0, digest_s=6.0, peak_bytes=50_000_000),),
    )
    monkeypatch.setattr("profiles.benchmarks.commands.export.measure", lambda *_, **__: bench)
    result = CliRunner().invoke(bench_export, ["source", "--scratch", str(tmp_path)])
    assert result.exit_code == 1
    assert "1.400  (limit 1.3: EXCEEDED)" in result.output
    assert "50  (limit 200: kept)" in result.output
    assert "1.010  (limit 1.02: kept)" in result.output
    assert all(len(line) <= 80 for line in result.output.splitlines())


def test_five_depths_and_three_top_ks_are_asked_for(tmp_path: Path) -> None:
    options = request_options(bare_source(tmp_path / "a", blocks=16, experts=8, top_k=8))
    assert options[:2] == ["--blocks", "12-16"]
    assert options[2:10] == ["--remove", "4", "--remove", "4,13", "--remove", "4,10,13", "--remove", "2,4,10,13"]
    assert options[10:] == ["--top-k", "8,6,4"]
    assert "--top-k" not in request_options(bare_source(tmp_path / "b", family="llama"))
    with pytest.raises(PlanError, match="4 blocks are too few for 5 depths"):
        request_options(bare_source(tmp_path / "c", blocks=4))


def test_files_are_copied_in_batches_and_links_count_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("profiles.benchmarks.export._BATCH_BYTES", 10_000)
    paths = [tmp_path / name for name in "abcd"]
    for path, size in zip(paths, (4096, 4096, 4096, 20_000), strict=True):
        path.write_bytes(b"x" * size)
    assert list(batches(paths)) == [paths[:2], paths[2:3], paths[3:]]
    before = disk_bytes(tmp_path)
    (tmp_path / "link").hardlink_to(paths[0])
    assert disk_bytes(tmp_path) == before


def use_script(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr("profiles.benchmarks.export._TRIMOE", (sys.executable, "-c", code))
    monkeypatch.setattr("profiles.benchmarks.export.request_options", lambda _: [])


def test_an_export_that_fails_with_a_long_message_is_told_and_does_not_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_script(monkeypatch, "import sys; sys.stderr.write('x' * 300_000 + 'the end'); sys.exit(3)")
    with pytest.raises(TrimoeError, match=r"failed with status 3: x+the end"):
        run_export(tmp_path / "source", tmp_path / "family")


def test_an_interrupt_ends_the_export_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_script(monkeypatch, "import time; time.sleep(60)")
    started: list[int] = []

    def interrupted(process: int, _: int) -> None:
        started.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "wait4", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_export(tmp_path / "source", tmp_path / "family")
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)
