"""Growth of a process: the rise of a line through what it takes at its rests."""

import pytest

from profiles.benchmarks.soak.memory import growth, rest_times
from profiles.benchmarks.soak.server_process import Usage


def rests(*, megabytes: list[int], threads: int = 0, files: int = 0) -> list[Usage]:
    """The second half has more threads and files."""
    later = [2 * place >= len(megabytes) for place in range(len(megabytes))]
    return [
        Usage(at_s=float(place), bytes=10**6 * size, threads=20 + threads * more, files=11 + files * more)
        for place, (size, more) in enumerate(zip(megabytes, later, strict=True))
    ]


@pytest.mark.parametrize(
    ("megabytes", "more", "flat"),
    [
        ([500] * 6, {}, True),
        ([441, 429, 430, 429, 421, 438, 428, 429, 464], {}, True),
        ([500, 560, 501, 499, 580, 500], {}, True),
        ([500, 502, 503, 505, 506, 508], {}, True),
        ([500, 503, 506, 509, 512, 515], {}, False),
        ([540, 500, 505, 510, 590, 515, 520, 525], {}, False),
        ([700, 600, 500, 400, 300, 200], {}, True),
        ([500] * 6, {"threads": 6}, False),
        ([500] * 6, {"files": 3}, False),
    ],
)
def test_what_grows_is_told_from_what_does_not(megabytes: list[int], more: dict[str, int], flat: bool) -> None:
    assert growth(rests(megabytes=megabytes, **more)).flat is flat


def test_growth_is_the_whole_rise_as_a_share_of_what_there_was() -> None:
    assert growth(rests(megabytes=[400, 410, 420, 430, 440, 450, 460])).memory == pytest.approx(0.15)


def test_too_few_rests_tell_nothing() -> None:
    with pytest.raises(ValueError, match="5 rests are too few"):
        growth(rests(megabytes=[1, 2, 3, 4, 5]))


@pytest.mark.parametrize(("seconds", "count"), [(300.0, 6), (1200.0, 18)])
def test_the_first_rest_is_when_all_is_warm_and_the_last_at_the_end(seconds: float, count: int) -> None:
    found = rest_times(seconds)
    assert len(found) == count and found == sorted(found)
    assert (found[0], found[-1]) == (pytest.approx(0.3 * seconds), pytest.approx(seconds))
