"""What a request may ask for."""

from collections.abc import Callable
from typing import Any

import pytest

from runtime.errors import RequestError
from runtime.serving.request import Request, Sampling, Wish


@pytest.mark.parametrize(
    ("kind", "field", "value", "wanted"),
    [
        (Sampling, "max_tokens", 0, "a whole number of at least 1"),
        (Sampling, "max_tokens", "a", "a whole number of at least 1"),
        (Sampling, "max_tokens", 2.0, "a whole number of at least 1"),
        (Sampling, "temperature", float("nan"), "a number of at least 0"),
        (Sampling, "top_p", 1.5, "a number of at least 0 and at most 1"),
        (Sampling, "top_logprobs", -1, "a whole number of at least 0"),
        (Wish, "budget_ms", -1, "a number of at least 0"),
        (Wish, "min_accuracy", 95, "a number of at least 0 and at most 1"),
    ],
)
def test_nonsense_is_refused_by_field_value_and_limit(
    kind: Callable[..., Any], field: str, value: object, wanted: str
) -> None:
    with pytest.raises(RequestError) as refused:
        kind(**{field: value})
    assert str(refused.value) == f"{field} is {value!r}; it is {wanted}"


def test_limits_themselves_are_allowed() -> None:
    assert Sampling(max_tokens=1, temperature=0, top_p=1, top_logprobs=0)
    assert Wish(budget_ms=0.5, min_accuracy=1)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"text": None}, "text is NoneType, expected a string"),
        ({"text": "a", "image": "photo.png"}, "image is 'photo.png'; expected a picture that is open: PIL.Image.open"),
        ({"text": "a", "image": b"PNG"}, "image is of bytes; expected a picture"),
    ],
)
def test_what_is_no_text_or_no_picture_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError) as refused:
        Request(**given)
    assert str(refused.value).startswith(said)
