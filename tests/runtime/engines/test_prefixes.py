"""Which keys and values a prompt may begin with."""

import numpy as np
import pytest

from runtime.engines.prefixes import Prefixes, prefix_key
from runtime.engines.protocol import Prompt


def prompt(tokens: list[int], *, image: int | None = None, at: int = 4, variant: str = "a") -> Prompt:
    arrays = {"input_ids": np.asarray(tokens)}
    if image is not None:
        arrays |= {"images": np.full((1, 1, 3), image), "image_input_idx": np.asarray([[-100, at, at + 1]])}
    return Prompt(variant=variant, arrays=arrays)


def values(tokens: int) -> np.ndarray:
    return np.arange(tokens, dtype=np.float64).reshape(1, 1, tokens, 1)


LONG = list(range(40))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (prompt([*LONG, 7]), 40),
        (prompt(LONG), 39),
        (prompt([*LONG[:20], 99, 99]), 20),
        (prompt([*LONG[:15], 99, 99]), None),
        (prompt(LONG, variant="b"), None),
        (prompt(LONG, image=1, at=25), 25),
        (prompt(LONG, image=1, at=4), None),
    ],
)
def test_a_prompt_begins_with_what_it_has_in_common_with_another(wanted: Prompt, found: int | None) -> None:
    prefixes = Prefixes(1 << 20)
    prefixes.keep(prefix_key(prompt(LONG)), lambda: values(40))
    values_found = prefixes.find(prefix_key(wanted))
    assert (None if values_found is None else values_found.shape[2]) == found


def test_an_image_is_the_same_when_its_arrays_are() -> None:
    prefixes = Prefixes(1 << 20)
    prefixes.keep(prefix_key(prompt(LONG, image=1, at=20)), lambda: values(40))
    for image, count in ((1, 39), (2, 20)):
        found = prefixes.find(prefix_key(prompt(LONG, image=image, at=20)))
        assert found is not None and found.shape[2] == count


def test_the_longest_unused_goes_first_and_beginnings_go_for_what_goes_on() -> None:
    prefixes = Prefixes(2 * 40 * 8)
    texts = [[start + token for token in LONG] for start in (0, 100, 200)]
    first, second, third = (prefix_key(prompt(text)) for text in texts)
    prefixes.keep(first, lambda: values(40))
    prefixes.keep(second, lambda: values(40))
    assert prefixes.find(first) is not None
    prefixes.keep(third, lambda: values(40))
    assert prefixes.find(second) is None and prefixes.find(first) is not None and prefixes.bytes == 640
    prefixes.forget("a")
    assert prefixes.bytes == 0
    prefixes.keep(prefix_key(prompt(LONG[:20])), lambda: values(20))
    prefixes.keep(first, lambda: values(40))
    assert prefixes.bytes == 320
    prefixes.keep(prefix_key(prompt(LONG[:30])), lambda: values(30))
    assert prefixes.bytes == 320
