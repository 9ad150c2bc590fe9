"""Growth of a process: told from noise, from the begin of its warm time on."""

import random

import pytest

from profiles.benchmarks.soak.memory import growth
from profiles.benchmarks.soak.server_process import Usage


def usages(*, grown: float = 0.0, threads: int = 0, files: int = 0, warming: float = 0.0) -> list[Usage]:
    """A hundred seconds of a process of about 400 MB, which grows by such a share of it; `warming` is over soon."""
    rng = random.Random(0)
    return [
        Usage(
            at_s=float(at),
            bytes=int(4e8 * (1 + grown * at / 100 - warming * max(0.0, 1 - at / 25) + rng.uniform(-0.005, 0.005))),
            threads=20 + threads * at // 100 + rng.randrange(2),
            files=40 + files * at // 100 + rng.randrange(4),
        )
        for at in range(100)
    ]


@pytest.mark.parametrize(
    ("change", "flat"),
    [
        ({}, True),
        ({"warming": 0.5}, True),
        ({"grown": 0.01}, True),
        ({"grown": -0.2}, True),
        ({"grown": 0.05}, False),
        ({"threads": 8}, False),
        ({"files": 30}, False),
    ],
)
def test_what_grows_is_told_from_what_does_not(change: dict[str, float], flat: bool) -> None:
    assert growth(usages(**change)).flat is flat  # type: ignore[arg-type]


def test_a_share_of_growth_is_that_of_the_warm_time() -> None:
    assert growth(usages(grown=0.1)).memory == pytest.approx(0.07 / 1.065, abs=0.003)


def test_too_few_looks_tell_nothing() -> None:
    with pytest.raises(ValueError, match="7 looks at the process are too few"):
        growth(usages()[:10])
