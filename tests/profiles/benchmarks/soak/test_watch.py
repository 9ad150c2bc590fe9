"""Changes beside the requests: what was tried, and what was done."""

from typing import Any

import pytest

from profiles.benchmarks.soak import watch as watching
from profiles.benchmarks.soak.good import SoakError
from profiles.benchmarks.soak.watch import Watch


class TableServer:
    running = True


class TableSwaps:
    """Only the signal works."""

    def signal(self) -> None: ...

    def damaged(self) -> None: ...

    def endpoint(self) -> None:
        raise SoakError("status 500")


def test_only_changes_after_which_another_family_is_there_are_swaps(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SWAP_EVERY_S", "LOOK_S"):
        monkeypatch.setattr(watching, name, 0.01)
    server: Any = TableServer()
    crowd: Any = None
    swaps: Any = TableSwaps()
    found = Watch(server, crowd, swaps, print)
    found.during(0.5)
    assert found.changes >= 3
    assert found.swaps == (found.changes + 2) // 3
    assert found.problems == ["status 500"] * (found.changes // 3)
