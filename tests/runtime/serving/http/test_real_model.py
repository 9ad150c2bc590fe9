"""`trimoe serve` as a process over a real model, a variant of the demo, asked by the official client."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from profiles.benchmarks.soak.server_process import ServerProcess, serving
from tests.support.paths import DEMO, ROOT

ESTIMATOR = ROOT / "profiles" / "data" / "latency" / "demo-onnx-float32.estimator.json"
PHOTO = DEMO / "photo.png"  # of the digits 0720
READ = {"type": "text", "text": "Read the number."}
PICTURE = {
    "type": "image_url",
    "image_url": {"url": f"data:image/png;base64,{base64.b64encode(PHOTO.read_bytes()).decode()}"},
}
ABOUT_THE_PHOTO = [{"role": "user", "content": [READ, PICTURE]}]
TEXT_ONLY = [{"role": "user", "content": "What is it?"}]


@pytest.fixture(scope="module")
def server(demo_family: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    log = tmp_path_factory.mktemp("serve") / "log"
    with serving(demo_family, ("--estimator", str(ESTIMATOR), "--threads", "1"), log) as found:
        yield found
        assert found.stop() == 0, log.read_text()
        events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
        assert len(events) == 1 and "no golden outputs" in events[0]


@pytest.fixture(scope="module")
def official(server: ServerProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_a_question_about_a_picture_is_answered_right_and_in_its_budget(official: openai.OpenAI) -> None:
    found = official.chat.completions.create(
        model="demo", messages=ABOUT_THE_PHOTO, max_tokens=12, extra_body={"latency_budget_ms": 20_000}
    )
    assert found.choices[0].message.content.strip() == "0720" and found.choices[0].finish_reason == "stop"
    account = found.model_extra["trimoe"]
    assert account["variant"] == "b14-k4" and account["predicted_ms"] > 0
    assert {"image", "vision", "prefill", "decode"} <= account["stages"].keys()
    assert sum(account["stages"].values()) <= account["actual_ms"]
    assert found.usage.prompt_tokens > 12 and found.usage.completion_tokens >= 4


def test_a_stream_gives_the_same_text_in_pieces(official: openai.OpenAI) -> None:
    chunks = list(
        official.chat.completions.create(model="b14-k4", messages=ABOUT_THE_PHOTO, max_tokens=12, stream=True)
    )
    pieces = [one.choices[0].delta.content for one in chunks if one.choices and one.choices[0].delta.content]
    assert "".join(pieces).strip() == "0720" and len(pieces) > 1
    assert chunks[-1].choices[0].finish_reason == "stop" and chunks[-1].model_extra["trimoe"]["variant"] == "b14-k4"


def test_a_text_is_answered_alike_each_time_by_the_most_likely_tokens(official: openai.OpenAI) -> None:
    asked = {"model": "demo", "messages": TEXT_ONLY, "max_tokens": 6, "logprobs": True, "top_logprobs": 2}
    first, second = (official.chat.completions.create(**asked).choices[0] for _ in range(2))
    assert first.message.content == second.message.content
    likely = [one.top_logprobs[0].token for one in first.logprobs.content]
    assert likely == [one.token for one in first.logprobs.content] and len(likely) <= 6


def test_a_budget_that_the_model_cannot_keep_is_refused_with_the_least_one(official: openai.OpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="the least budget is") as found:
        official.chat.completions.create(
            model="demo", messages=ABOUT_THE_PHOTO, max_tokens=12, extra_body={"latency_budget_ms": 1}
        )
    assert found.value.code == "no_feasible_variant"


def test_a_picture_that_is_none_is_refused(official: openai.OpenAI) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG8="}}
    with pytest.raises(openai.BadRequestError, match="image"):
        official.chat.completions.create(model="demo", messages=[{"role": "user", "content": [READ, picture]}])
