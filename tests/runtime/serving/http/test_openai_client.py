"""The official client, unmodified, against a server on loopback."""

from collections.abc import Iterator

import openai
import pytest

from tests.support.fake_family import FakeFamily
from tests.support.http_server import Running, running_server
from tests.support.pictures import data_uri, picture, question

TEXT = "the number is 0720"
HELLO = question("hello")


@pytest.fixture
def official(server: Running) -> Iterator[openai.OpenAI]:
    server.family.requests.clear()
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_a_chat_is_answered_with_its_account(official: openai.OpenAI, server: Running) -> None:
    found = official.chat.completions.create(
        model="demo", messages=HELLO, extra_body={"latency_budget_ms": 30, "task": "digits-vqa", "min_accuracy": 0.7}
    )
    assert found.choices[0].message.content == TEXT and found.choices[0].finish_reason == "stop"
    assert (found.usage.prompt_tokens, found.usage.completion_tokens, found.usage.total_tokens) == (2, 4, 6)
    assert found.model_extra["trimoe"]["variant"] == "b3-k2"
    assert found.model_extra["trimoe"]["predicted_ms"] == 20.0
    wish = server.family.requests[0].wish
    assert (wish.budget_ms, wish.task, wish.min_accuracy, wish.best_effort) == (30, "digits-vqa", 0.7, False)


def test_headers_say_who_answers_and_what_it_took(official: openai.OpenAI) -> None:
    headers = official.chat.completions.with_raw_response.create(model="demo", messages=HELLO).headers
    assert headers["x-trimoe-variant"] == "b4-k4" and headers["x-trimoe-dtype"] == "float32"
    assert (float(headers["x-trimoe-predicted-ms"]), float(headers["x-trimoe-actual-ms"])) == (40.0, 12.5)


def test_sampling_reaches_the_family(official: openai.OpenAI, server: Running) -> None:
    settings = {"max_completion_tokens": 2, "temperature": 0.5, "top_p": 0.9, "seed": -1, "stop": ["a", "b"]}
    found = official.chat.completions.create(model="demo", messages=HELLO, user="me", n=1, **settings)
    assert found.choices[0].finish_reason == "length" and found.choices[0].message.content == "the number"
    sampling = server.family.requests[0].sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p) == (2, 0.5, 0.9)
    assert sampling.stop == ("a", "b") and sampling.seed == 2**63 - 1


def test_a_stream_gives_pieces_the_reason_and_the_usage(official: openai.OpenAI) -> None:
    stream = official.chat.completions.create(
        model="demo", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT
    assert chunks[-2].choices[0].finish_reason == "stop" and chunks[-2].model_extra["trimoe"]["variant"] == "b4-k4"
    assert chunks[-1].usage.total_tokens == 6 and chunks[-1].choices == []


def test_log_probabilities_come_whole_and_in_pieces(official: openai.OpenAI) -> None:
    asked = {"model": "demo", "messages": HELLO, "logprobs": True, "top_logprobs": 1}
    whole = official.chat.completions.create(**asked).choices[0].logprobs.content
    assert [one.token for one in whole] == ["the", " number", " is", " 0720"]
    assert whole[0].logprob == -0.25 and whole[0].top_logprobs[0].token == "the" and bytes(whole[0].bytes) == b"the"
    pieces = [chunk.choices[0].logprobs for chunk in official.chat.completions.create(**asked, stream=True)]
    assert [one.content[0].token for one in pieces if one is not None] == [one.token for one in whole]


@pytest.mark.parametrize(("kind", "format"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP"), ("gif", "GIF")])
def test_a_picture_reaches_the_family(official: openai.OpenAI, server: Running, kind: str, format: str) -> None:
    asked = question("what?", data_uri(picture(4, 3, format=format), kind))
    assert official.chat.completions.create(model="demo", messages=asked).usage.prompt_tokens == 6
    image = server.family.requests[0].image
    assert image is not None and (image.size, image.mode) == ((4, 3), "RGB")


def test_an_answer_can_be_given_back_as_a_message(official: openai.OpenAI, server: Running) -> None:
    answer = official.chat.completions.create(model="demo", messages=HELLO).choices[0].message
    official.chat.completions.create(
        model="demo", messages=[{"role": "developer", "content": "be brief"}, *HELLO, answer, *question("and now?")]
    )
    assert server.family.requests[1].text == f"system: be brief user: hello assistant: {TEXT} user: and now?"


def test_a_plain_completion(official: openai.OpenAI, server: Running) -> None:
    found = official.completions.create(model="b2-k1", prompt=["Read:"], logprobs=1, max_tokens=3)
    assert found.choices[0].text == "the number is" and found.choices[0].finish_reason == "length"
    assert found.choices[0].logprobs.text_offset == [0, 3, 10]
    assert server.family.requests[0].text == "Read:" and server.family.requests[0].wish.variant == "b2-k1"
    stream = official.completions.create(model="demo", prompt="Read:", stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == TEXT


def test_models_are_the_family_and_its_variants(official: openai.OpenAI) -> None:
    assert [one.id for one in official.models.list()] == ["demo", "b4-k4", "b3-k2", "b2-k1"]
    assert official.models.retrieve("b3-k2").owned_by == "trimoe"
    with pytest.raises(openai.NotFoundError, match="there are demo, b4-k4"):
        official.models.retrieve("gpt-5")


def test_a_type_of_weights_can_be_pinned_where_there_are_several() -> None:
    family = FakeFamily(dtypes=("float32", "int8"))
    with (
        running_server(family) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client,
    ):
        assert "b3-k2:int8" in [one.id for one in client.models.list()]
        found = client.chat.completions.create(model="b3-k2:int8", messages=HELLO)
    assert (found.model_extra["trimoe"]["variant"], found.model_extra["trimoe"]["dtype"]) == ("b3-k2", "int8")


REFUSED = [
    ({"model": "gpt-5"}, openai.NotFoundError, "model_not_found", "model"),
    (
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        openai.BadRequestError,
        "unsupported_parameter",
        "tools",
    ),
    (
        {"response_format": {"type": "json_object"}},
        openai.BadRequestError,
        "unsupported_parameter",
        "response_format.type",
    ),
    ({"n": 2}, openai.BadRequestError, "unsupported_parameter", "n"),
    ({"presence_penalty": 1.0}, openai.BadRequestError, "unsupported_parameter", "presence_penalty"),
    ({"temperature": 3}, openai.BadRequestError, "invalid_value", "temperature"),
    ({"top_logprobs": 1}, openai.BadRequestError, "missing_logprobs", "top_logprobs"),
    ({"max_tokens": 1_000_000}, openai.BadRequestError, "max_tokens_too_large", "max_tokens"),
    ({"max_tokens": 1, "max_completion_tokens": 2}, openai.BadRequestError, "conflicting_parameters", "max_tokens"),
    ({"messages": []}, openai.BadRequestError, "invalid_value", "messages"),
    ({"messages": HELLO * 300}, openai.BadRequestError, "too_many_messages", "messages"),
    ({"messages": question("x " * 9000)}, openai.BadRequestError, "context_length_exceeded", None),
    ({"messages": question("x" * 600_000)}, openai.BadRequestError, "context_length_exceeded", "messages"),
    ({"messages": question("x" * 30_000) * 5}, openai.BadRequestError, "context_length_exceeded", "messages"),
    ({"messages": HELLO * 1025}, openai.BadRequestError, "invalid_value", "messages"),
    ({"extra_body": {"temprature": 1}}, openai.BadRequestError, "unknown_parameter", "temprature"),
    ({"extra_body": {"task": "chess"}}, openai.BadRequestError, "unknown_task", "task"),
    ({"extra_body": {"min_accuracy": 0.5}}, openai.BadRequestError, "missing_task", "task"),
    ({"extra_body": {"latency_budget_ms": 0}}, openai.BadRequestError, "invalid_value", "latency_budget_ms"),
]


@pytest.mark.parametrize(("change", "kind", "code", "param"), REFUSED, ids=[one[2] for one in REFUSED])
def test_what_is_refused_is_told_in_openais_form(
    official: openai.OpenAI, change: dict, kind: type[openai.APIStatusError], code: str, param: str | None
) -> None:
    with pytest.raises(kind) as caught:
        official.chat.completions.create(**{"model": "demo", "messages": HELLO, **change})
    assert (caught.value.code, caught.value.param) == (code, param)
    assert caught.value.type in ("invalid_request_error", "not_found_error")


def test_what_would_be_feasible_is_told_when_nothing_is(official: openai.OpenAI) -> None:
    asked = {"model": "demo", "messages": HELLO}
    with pytest.raises(openai.UnprocessableEntityError, match="b2-k1 needs 12 ms") as caught:
        official.chat.completions.create(**asked, extra_body={"latency_budget_ms": 5})
    assert caught.value.code == "no_feasible_variant" and caught.value.body["trimoe"]["least_budget_ms"] == 12.0
    assert [one["kind"] for one in caught.value.body["trimoe"]["candidates"]] == ["over_budget"] * 3
    found = official.chat.completions.create(**asked, extra_body={"latency_budget_ms": 5, "best_effort": True})
    assert found.model_extra["trimoe"]["best_effort"] is True and found.model_extra["trimoe"]["variant"] == "b2-k1"


def test_an_error_within_a_stream_reaches_the_client() -> None:
    family = FakeFamily(failure=RuntimeError("secret"), fails_at=2)
    with (
        running_server(family) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client,
    ):
        got = []
        with pytest.raises(openai.APIError, match="internal error") as caught:
            for chunk in client.chat.completions.create(model="demo", messages=HELLO, stream=True):
                got.append(chunk.choices[0].delta.content)
        assert got == ["", "the", " number"] and "secret" not in str(caught.value)
        family.fails_at = 0
        with pytest.raises(openai.InternalServerError, match="internal error"):
            client.chat.completions.create(model="demo", messages=HELLO)
