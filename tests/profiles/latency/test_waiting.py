"""Waiting for a processor, as the system counts it."""

import threading
import time
from pathlib import Path

import pytest

from profiles.latency.bench import waiting
from profiles.latency.bench.waiting import waited_s


def test_waiting_never_shrinks_and_is_less_than_the_time_of_all_threads() -> None:
    began, before = time.perf_counter(), waited_s()
    worker = threading.Thread(target=sum, args=(range(200_000),))
    worker.start()
    sum(range(200_000))
    after = waited_s()
    worker.join()
    if before is None or after is None:
        pytest.skip("this system does not count it")
    assert 0 <= after - before < 64 * (time.perf_counter() - began)


def test_a_system_that_does_not_count_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_THREADS", tmp_path / "self" / "task")
    assert waited_s() is None


def test_the_waiting_of_all_threads_is_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_THREADS", tmp_path / "task")
    (tmp_path / "schedstat").write_text("1 2 3\n")
    for name, waited in (("7", 1_500_000_000), ("8", 250_000_000)):
        (tmp_path / "task" / name).mkdir(parents=True)
        (tmp_path / "task" / name / "schedstat").write_text(f"5 {waited} 9\n")
    (tmp_path / "task" / "9").mkdir()  # a thread that has just ended
    assert waited_s() == 1.75
