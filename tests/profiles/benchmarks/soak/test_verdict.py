"""A soak in which too little was seen is not well, though nothing went wrong."""

from typing import Any

import pytest

from profiles.benchmarks.soak.memory import Growth
from profiles.benchmarks.soak.verdict import Verdict

FLAT = Growth(bytes=(500.0, 501.0), threads=(30.0, 30.0), files=(12.0, 12.0))
ANSWERS = {("whole", "answered"): 30, ("stream", "streamed"): 20, ("stream", "refused: overloaded"): 49}
REFUSALS = {("whole", "refused: overloaded"): 51, ("stream", "streamed"): 49, ("leave", "left"): 900}


def verdict(**changes: Any) -> Verdict:
    told: dict[str, Any] = {
        "seconds": 300.0,
        "counts": ANSWERS,
        "changes": 3,
        "swaps": 2,
        "faults": 1,
        "problems": (),
        "growth": FLAT,
    }
    return Verdict(**(told | changes))


@pytest.mark.parametrize("changes", [{}, {"seconds": 20.0, "changes": 0, "swaps": 0, "faults": 0, "growth": None}])
def test_what_was_seen_is_enough(changes: dict[str, Any]) -> None:
    assert verdict(**changes).lacks == () and verdict(**changes).well


@pytest.mark.parametrize(
    ("changes", "lack"),
    [
        ({"counts": REFUSALS}, "answers checked: 49 % of what was asked, at least 50 % are needed"),
        ({"counts": {("bomb", "refused: invalid_image"): 9}}, "answers checked: 0 %"),
        ({"seconds": 20.0, "swaps": 0}, "a change of the family that was done, of 3"),
        ({"changes": 0, "swaps": 0}, "a change of the family that was done, of 0"),
        ({"faults": 0}, "a fault of the engine"),
        ({"growth": None}, "enough rests to tell growth"),
    ],
)
def test_what_was_not_seen_is_told(changes: dict[str, Any], lack: str) -> None:
    found = verdict(**changes)
    assert not found.well
    assert [one.startswith(lack) for one in found.lacks] == [True]
