"""Growth of a process: what it takes at its last rests beside its first."""

import pytest

from profiles.benchmarks.soak.memory import growth
from profiles.benchmarks.soak.server_process import Usage


def rests(*, megabytes: list[int], threads: int = 0, files: int = 0) -> list[Usage]:
    """Of which the last two have more threads and files."""
    later = [place >= len(megabytes) - 2 for place in range(len(megabytes))]
    return [
        Usage(at_s=float(place), bytes=10**6 * size, threads=20 + threads * more, files=11 + files * more)
        for place, (size, more) in enumerate(zip(megabytes, later, strict=True))
    ]


@pytest.mark.parametrize(
    ("megabytes", "more", "flat"),
    [
        ([500, 500, 500, 500, 500], {}, True),
        ([500, 504, 520, 506, 510], {}, True),
        ([500, 500, 505, 510, 515], {}, False),
        ([500, 400, 300, 200, 100], {}, True),
        ([500] * 5, {"threads": 2}, False),
        ([500] * 5, {"files": 3}, False),
    ],
)
def test_what_grows_is_told_from_what_does_not(megabytes: list[int], more: dict[str, int], flat: bool) -> None:
    assert growth(rests(megabytes=megabytes, **more)).flat is flat


def test_growth_is_a_share_of_what_there_was() -> None:
    assert growth(rests(megabytes=[400, 400, 0, 440, 440])).memory == pytest.approx(0.1)


def test_too_few_rests_tell_nothing() -> None:
    with pytest.raises(ValueError, match="3 rests are too few"):
        growth(rests(megabytes=[1, 2, 3]))
