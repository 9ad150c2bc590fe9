"""How long the text of a prompt may be, and that what is too long costs the server nothing."""

import httpx
import pytest

from runtime.serving.http.limits import Limits
from tests.support.fake_family import FakeFamily
from tests.support.http_server import running_server
from tests.support.pictures import data_uri, picture, question

CHAT, CHOOSE = "/v1/chat/completions", "/trimoe/choose"


class CountingFamily(FakeFamily):
    """Knows what it was asked to read."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.counted, self.templated = [], 0

    def prompt_tokens(self, request):
        self.counted.append(request)
        return super().prompt_tokens(request)

    def chat_text(self, messages):
        self.templated += 1
        return super().chat_text(messages)


@pytest.mark.parametrize("path", [CHAT, CHOOSE])
def test_the_texts_of_all_messages_are_bounded_together_before_they_are_read(path: str) -> None:
    family = CountingFamily()
    asked = {"model": "demo", "messages": question("x" * 100) * 2}
    with running_server(family, Limits(prompt_tokens=10)) as server:
        found = httpx.post(server.url + path, json=asked)
    error = found.json()["error"]
    assert (found.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", "messages")
    assert error["message"] == "messages: 200 characters, the limit is 160 (16 a token)"
    assert (family.templated, family.counted) == (0, [])


@pytest.mark.parametrize("path", [CHAT, CHOOSE])
def test_tokens_of_a_text_are_bounded_where_something_is_chosen_or_answered(path: str) -> None:
    with running_server(limits=Limits(prompt_tokens=10)) as server:
        found = httpx.post(server.url + path, json={"model": "demo", "messages": question("x " * 20)})
    assert (found.status_code, found.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert found.json()["error"]["message"] == "the prompt has 21 tokens of text, the limit is 10"


def test_the_picture_of_a_long_text_is_not_read_to_count_the_tokens() -> None:
    family = CountingFamily()
    asked = {"model": "demo", "messages": question("word " * 4, data_uri(picture()))}
    with running_server(family, Limits(prompt_tokens=10)) as server:
        assert httpx.post(server.url + CHAT, json=asked).status_code == 200
    assert family.counted[0].image is None and family.requests[0].image is not None
