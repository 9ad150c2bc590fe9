"""The clients of a soak, at a real server over a family that answers from a table."""

import random
from collections.abc import Iterator
from types import MappingProxyType

import pytest

from profiles.benchmarks.soak.good import GoodClient, SoakError, refusal, refused_event
from profiles.benchmarks.soak.hostile import HostileClient
from profiles.benchmarks.soak.recorded import RecordedQuestion
from profiles.benchmarks.soak.wire import Reply
from tests.support.fake_family import MS, WORDS, FakeFamily
from tests.support.http_server import NAME, Running, running_server

TEXT = "".join(WORDS)
HOSTILE = ("malformed", "bomb", "packed", "long_prompt", "huge_head", "no_http")


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running_server(FakeFamily()) as found:
        yield found


def good(server: Running, answer: str = TEXT) -> GoodClient:
    question = RecordedQuestion(
        content=({"type": "text", "text": "1"},),
        task="digits-vqa",
        max_tokens=12,
        answers=MappingProxyType(dict.fromkeys(MS, answer)),
    )
    return GoodClient(server.port, NAME, [question])


@pytest.mark.parametrize("action", ["whole", "stream", "slow_reader", "byte_by_byte", "leave"])
def test_a_good_request_is_answered_or_refused_as_declared(server: Running, action: str) -> None:
    client = good(server)
    rngs = [random.Random(seed) for seed in range(6 if action != "slow_reader" else 2)]
    outcomes = {getattr(client, action)(rng) for rng in rngs}
    assert outcomes <= {"answered", "streamed", "left", "refused: no_feasible_variant", "refused: request_not_possible"}


@pytest.mark.parametrize("action", ["whole", "stream"])
def test_a_wrong_answer_is_told(server: Running, action: str) -> None:
    client = good(server, answer="something else")
    with pytest.raises(SoakError, match=r"answered 'the number is 0720', alone it was 'something else'"):
        for seed in range(20):
            getattr(client, action)(random.Random(seed))


def test_a_pinned_variant_has_to_answer(server: Running) -> None:
    good(server).check_pinned("b3-k2")
    with pytest.raises(SoakError, match="b9-k9 answered with 404"):
        good(server).check_pinned("b9-k9")


@pytest.mark.parametrize("action", HOSTILE)
def test_what_is_hostile_is_refused(server: Running, action: str) -> None:
    client = HostileClient(server.port, NAME)
    for seed in range(4):
        outcome = getattr(client, action)(random.Random(seed))
        assert outcome.startswith("refused: ") or outcome == "cut off"


def test_clients_that_leave_and_readers_of_the_rest_are_fine(server: Running) -> None:
    client = HostileClient(server.port, NAME)
    assert client.leave_in_body(random.Random(0)) == "left"
    assert {client.other_paths(random.Random(seed)) for seed in range(8)} == {"read"}


@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [(500, {}, "status 500"), (503, {}, "status 503 without Retry-After"), (400, {}, "status 400")],
)
def test_a_refusal_that_is_not_declared_is_told(status: int, headers: dict[str, str], message: str) -> None:
    with pytest.raises(SoakError, match=message):
        refusal(Reply(status=status, headers=headers, body=b'{"error": {"code": "x"}}'))


def test_a_refusal_has_a_code_and_a_stream_an_end() -> None:
    body = b'{"error": {"code": "overloaded"}}'
    assert refusal(Reply(status=503, headers={"retry-after": "1"}, body=body)) == "refused: overloaded"
    assert refused_event(body.decode()) == "refused in the stream: overloaded"
    with pytest.raises(SoakError, match=r"ended without \[DONE\]"):
        refused_event('{"choices": []}')
