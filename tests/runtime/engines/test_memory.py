"""Free memory as the system and a container's limit state it."""

import ctypes
from pathlib import Path

import numpy as np
import psutil
import pytest

from runtime.engines import memory


def test_the_system_has_some_memory_left() -> None:
    assert memory.available_bytes() > 1 << 20


def test_the_smaller_of_system_and_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit, used = tmp_path / "max", tmp_path / "current"
    monkeypatch.setattr(memory, "_CGROUPS", ((limit, used),))
    unlimited = memory.available_bytes()
    limit.write_text("5000\n", "utf-8")
    used.write_text("2000\n", "utf-8")
    assert memory.available_bytes() == 3000
    used.write_text("9000\n", "utf-8")
    assert memory.available_bytes() == 0
    (tmp_path / "memory.stat").write_text("anon 1\nactive_file 5500\ninactive_file 500\n", "utf-8")
    assert memory.available_bytes() == 2000
    limit.write_text("max\n", "utf-8")
    assert memory.available_bytes() > unlimited // 2


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc keeps freed memory so")
def test_freed_memory_goes_back_to_the_system() -> None:
    taken = [np.ones(60_000, np.uint8) for _ in range(2000)]
    last = np.ones(60_000, np.uint8)  # behind all others: the heap cannot shrink from its end
    del taken
    before = resident_bytes()
    memory.give_back()
    assert resident_bytes() < before - 60e6
    assert last.sum() == 60_000


def resident_bytes() -> int:
    return psutil.Process().memory_info().rss
