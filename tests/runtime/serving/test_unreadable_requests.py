"""What the reader of prompts cannot use is the request's fault, not the server's."""

from typing import Any, NoReturn
from unittest.mock import Mock

import pytest

from runtime.errors import RequestError
from runtime.serving.family import Family
from runtime.serving.request import Request
from tests.support.documents import MANIFEST


class Picky:
    """A reader that takes nothing."""

    crop_settings = None

    def read(self, questions: Any, *, variant: str) -> NoReturn:
        raise ValueError("an image of 5000x1 px is too narrow")

    def chat_text(self, messages: Any) -> str:
        return ""


@pytest.mark.parametrize("ask", [Family.prompt_tokens, Family.choose, Family.generate])
def test_a_picture_that_cannot_be_read_refuses_the_request(ask: Any) -> None:
    family = Family(MANIFEST, Picky(), {}, Mock())
    with pytest.raises(RequestError, match="too narrow"):
        ask(family, Request(text="x"))
