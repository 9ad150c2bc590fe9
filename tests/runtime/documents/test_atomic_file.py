"""Writing files whole."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.documents.atomic_file import write_atomically


def test_an_atomic_write_replaces_the_file_and_leaves_no_part(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_what_a_killed_writer_left_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    code = f"""
import os, pathlib
os.fsync = lambda descriptor: (print("written", flush=True), __import__("time").sleep(60))
from runtime.documents.atomic_file import write_atomically
write_atomically(pathlib.Path({str(path)!r}), b"a longer text that is never seen")
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"written\n"
    process.send_signal(signal.SIGKILL)
    process.stdout.close()
    process.wait()
    assert [p.name for p in tmp_path.iterdir()] == [".x.json.part"]
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def _write_often(path: Path, mark: str) -> None:
    for count in range(1, 60):
        write_atomically(path, mark.encode() * count * 50)


def test_several_writers_of_one_file_never_mix_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_atomically(path, b"a")
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_write_often, args=(path, mark)) for mark in "abc"]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        seen.add(frozenset(path.read_bytes()))
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert seen <= {frozenset(mark) for mark in (b"a", b"b", b"c")}
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_a_failed_write_keeps_the_old_file_and_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: .*x\.json"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]
