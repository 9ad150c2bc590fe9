"""`trimoe serve` as a process over a fake family: what it prints and logs, and does when told to stop or to reload."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.runtime.serving.http.test_limits import ASKED, CHAT, until
from tests.support.commands import trimoe
from tests.support.paths import ROOT

PROGRAM = """
import sys
from runtime.cli import main
from runtime.serving.family import Family
from tests.support.fake_family import FakeFamily

class Counted(FakeFamily):
    def prepare(self, variants=None):
        for variant in variants or [one.id for one in self.manifest.variants]:
            sys.stderr.write(f"tested {variant}\\n")  # at once, or what other threads write comes in between

def load(path, **options):
    settings = options["settings"]
    trusted = settings.records is not None
    sys.stderr.write(f"loaded {path} prefixes {settings.prefix_bytes} trusted {trusted}\\n")
    return Counted()

Family.load = load
main(["serve", *sys.argv[1:]])
"""


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen, list[str], Path]]:
    """The process, what it printed until it was ready, and where its standard error goes."""
    log = folder / "log"
    command = [sys.executable, "-c", PROGRAM, str(folder / "demo"), "--port", "0", *options]
    (folder / "demo").mkdir()
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": "."}
        )
    try:
        assert process.stdout is not None
        yield process, [process.stdout.readline() for _ in range(4)], log
    finally:
        process.kill()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def test_a_server_says_where_it_is_reloads_when_asked_and_stops_in_order(tmp_path: Path) -> None:
    with serving(tmp_path, "--verbose") as (process, greeting, log):
        address = greeting[0].split()[-1]
        assert greeting[0].startswith("Serving demo, 3 variants in float32, at http://127.0.0.1:")
        assert greeting[1].strip() == "b4-k4, b3-k2, b2-k1" and greeting[2] == f"Page: {address}/\n"
        done = subprocess.run(greeting[3], shell=True, capture_output=True, check=True)
        assert json.loads(done.stdout)["choices"][0]["message"]["content"] == "the number is 0720"
        assert log.read_text().count("loaded") == 1 and "tested b4-k4" in log.read_text()
        process.send_signal(signal.SIGHUP)
        until(lambda: log.read_text().count("loaded") == 2)
        until(lambda: "family changed to" in log.read_text())
        assert httpx.post(address + CHAT, json=ASKED).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert [one["route"] for one in lines if one["event"] == "request"] == [CHAT, CHAT]
    assert {"time", "level", "logger", "event"} <= lines[0].keys() and "hello" not in log.read_text()


def test_a_change_by_signal_is_told_without_being_verbose(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, _, log):
        process.send_signal(signal.SIGHUP)
        until(lambda: "family changed to" in log.read_text())
    events = [json.loads(line)["event"] for line in log.read_text().splitlines() if line.startswith("{")]
    assert events[0] == f"loading {tmp_path / 'demo'}" and events[1].startswith("family changed to ")


@pytest.mark.parametrize(("options", "tested"), [((), 3), (("--no-preload", "--prefix-mb", "7", "--trust"), 1)])
def test_all_variants_are_tested_first_unless_told_otherwise(
    tmp_path: Path, options: tuple[str, ...], tested: int
) -> None:
    with serving(tmp_path, *options) as (_, _, log):
        assert log.read_text().count("tested b") == tested
        assert f"prefixes {7_000_000 if options else 0} trusted {bool(options)}\n" in log.read_text()


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, greeting, _):
        port = greeting[0].strip().rpartition(":")[2]
        result = trimoe("serve", tmp_path / "demo", "--port", port)
    assert (result.exit_code, result.output) == (
        1,
        f"Error: 127.0.0.1:{port}: cannot listen there: Address already in use\n",
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--host", "256.1.1.1"), "256.1.1.1: no address to listen on"),
        (("--api-keys", "keys"), "keys: line 1: a key of less than 16 characters"),
        ((), "no manifest.json"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("keys").write_text("short\n")
    Path("demo").mkdir()
    result = trimoe("serve", "demo", "--port", "0", *options)
    assert result.exit_code == 1 and said in result.output and result.output.splitlines()[-1].startswith("Error: ")


def test_a_server_that_everyone_reaches_without_a_key_says_so(tmp_path: Path) -> None:
    result = trimoe("serve", tmp_path, "--host", "0.0.0.0", "--port", "0")
    assert "Note: without --api-keys whoever reaches 0.0.0.0 may ask." in result.output
