"""Growth of a process: the least that it takes at its later rests beside that at its first."""

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
        ([500, 500, 500, 500], {}, True),
        ([500, 504, 560, 580, 509], {}, True),
        ([540, 500, 512, 511, 530], {}, False),
        ([500, 400, 300, 200], {}, True),
        ([500] * 4, {"threads": 5}, False),
        ([500] * 4, {"files": 3}, False),
    ],
)
def test_what_grows_is_told_from_what_does_not(megabytes: list[int], more: dict[str, int], flat: bool) -> None:
    assert growth(rests(megabytes=megabytes, **more)).flat is flat


def test_growth_is_a_share_of_what_there_was() -> None:
    assert growth(rests(megabytes=[400, 420, 450, 440])).memory == pytest.approx(0.1)


def test_too_few_rests_tell_nothing() -> None:
    with pytest.raises(ValueError, match="3 rests are too few"):
        growth(rests(megabytes=[1, 2, 3]))


@pytest.mark.parametrize(("seconds", "count"), [(60.0, 4), (1200.0, 18)])
def test_the_first_rest_is_when_all_is_warm_and_the_last_at_the_end(seconds: float, count: int) -> None:
    found = rest_times(seconds)
    assert len(found) == count and found == sorted(found)
    assert (found[0], found[-1]) == (pytest.approx(0.3 * seconds), pytest.approx(seconds))
