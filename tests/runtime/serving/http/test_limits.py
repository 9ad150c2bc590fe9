"""What a client may take: bytes, time and places; told in OpenAI's form even where no request was read."""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from runtime.errors import (
    DeadlineError,
    EngineError,
    MemoryLimitError,
    OverloadedError,
    RequestError,
    VerificationError,
)
from runtime.serving.http.limits import Limits
from tests.support.fake_family import FakeFamily
from tests.support.http_server import Running, running_server
from tests.support.raw_http import JSON_HEADER, chat_body, connected, head, response

CHAT = "/v1/chat/completions"
ASKED = json.loads(chat_body())
TYPE = {"content-type": "application/json"}


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread does; fails after ten seconds."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def held_family() -> FakeFamily:
    """A family that does not answer until its `go` is set."""
    family = FakeFamily()
    family.go.clear()
    return family


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"\x16\x03\x01 nonsense\r\n\r\n", 400, "invalid_http"),
        (head(CHAT, f"x-long: {'x' * 40_000}"), 431, "headers_too_large"),
        (head(CHAT, *[f"x-{number}: {'x' * 400}" for number in range(100)]), 431, "headers_too_large"),
        (head(CHAT, JSON_HEADER, "content-length: 999999999", "expect: 100-continue"), 413, "body_too_large"),
        (head(CHAT, "content-type: text/plain", "content-length: 2") + b"{}", 415, "unsupported_media_type"),
        (head(CHAT, JSON_HEADER, "content-length: 1") + b"{", 400, "invalid_json"),
        (head(CHAT, JSON_HEADER, "content-length: 40000") + b"[" * 40_000, 400, "bad_request"),
        (head(CHAT, JSON_HEADER, "content-length: 2") + b"\xff\xff", 400, "bad_request"),
        (head("/v1/nothing", method="GET"), 404, "not_found"),
        (head(CHAT, method="DELETE"), 405, "method_not_allowed"),
        (head("/v1/models/%ff%00", method="GET"), 404, "model_not_found"),
        (head("/trimoe/decisions?after=-1", method="GET"), 400, "invalid_value"),
    ],
)
def test_what_is_no_request_is_refused(server: Running, sent: bytes, status: int, code: str) -> None:
    with connected(server.port) as connection:
        connection.sendall(sent)
        found, document = response(connection)
    assert (found, document["error"]["code"]) == (status, code)
    assert set(document["error"]) == {"message", "type", "param", "code"}


def test_a_body_in_chunks_is_counted_too() -> None:
    with running_server(limits=Limits(body_bytes=100_000)) as server, connected(server.port) as connection:
        connection.sendall(head(CHAT, JSON_HEADER, "transfer-encoding: chunked"))
        for _ in range(30):
            connection.sendall(b"1388\r\n" + b" " * 5000 + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        assert response(connection)[0] == 413


def test_a_body_in_chunks_of_one_byte_is_read(server: Running) -> None:
    with connected(server.port) as connection:
        connection.sendall(head(CHAT, JSON_HEADER, "transfer-encoding: chunked"))
        connection.sendall(b"".join(b"1\r\n%c\r\n" % byte for byte in chat_body()) + b"0\r\n\r\n")
        assert response(connection)[0] == 200


@pytest.mark.parametrize(
    ("sent", "code"),
    [(b"POST /v1", "header_timeout"), (head(CHAT, JSON_HEADER, "content-length: 10") + b"{", "body_timeout")],
)
def test_a_client_that_sends_too_slowly_is_told_so(sent: bytes, code: str) -> None:
    with running_server(limits=Limits(header_s=0.05, body_s=0.05)) as server, connected(server.port) as connection:
        connection.sendall(sent)
        status, document = response(connection)
    assert (status, document["error"]["code"]) == (408, code)


def test_a_client_that_sends_nothing_is_dropped() -> None:
    with running_server(limits=Limits(header_s=0.05)) as server, connected(server.port) as connection:
        assert connection.recv(1) == b""


def test_a_client_that_takes_nothing_is_cut_off_and_its_answer_stopped() -> None:
    family = FakeFamily(words=("x" * 100_000,) * 1000)
    with running_server(family, Limits(write_s=0.1)) as server, connected(server.port) as connection:
        body = chat_body(stream=True)
        connection.sendall(head(CHAT, JSON_HEADER, f"content-length: {len(body)}") + body)
        until(lambda: family.cancels == 1)


def test_connections_beyond_the_limit_are_told_so() -> None:
    with running_server(limits=Limits(connections=1)) as server, connected(server.port), connected(server.port) as late:
        status, document = response(late)
    assert (status, document["error"]["code"]) == (503, "too_many_connections")


def test_bodies_that_arrive_together_are_bounded() -> None:
    limits = Limits(buffered_bytes=50_000)
    with running_server(limits=limits) as server, connected(server.port) as one, connected(server.port) as other:
        one.sendall(head(CHAT, JSON_HEADER, "content-length: 49000") + b" " * 48_000)
        until(lambda: httpx.post(server.url + CHAT, content=b" " * 3000, headers=TYPE).status_code == 503)
        other.sendall(head(CHAT, JSON_HEADER, "content-length: 20000") + b" " * 20_000)
        status, document = response(other)
    assert (status, document["error"]["code"]) == (503, "overloaded")


def test_bodies_count_until_their_answers_end() -> None:
    family = held_family()
    large = {"content": chat_body().ljust(30_000), "headers": TYPE}
    with running_server(family, Limits(buffered_bytes=50_000)) as server:
        with ThreadPoolExecutor(1) as threads:
            running = threads.submit(httpx.post, server.url + CHAT, **large)
            until(lambda: len(family.requests) == 1)
            refused = httpx.post(server.url + CHAT, **large)
            server.call(family.go.set)
        assert running.result().status_code == 200
        assert httpx.post(server.url + CHAT, **large).status_code == 200
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
    assert refused.json()["error"]["message"].endswith("bytes are held, the limit is 50000")


def test_requests_beyond_the_limit_are_refused_with_a_time_to_come_again() -> None:
    family = held_family()
    with running_server(family, Limits(requests=2)) as server, httpx.Client(base_url=server.url) as client:
        with ThreadPoolExecutor(2) as threads:
            running = [threads.submit(client.post, CHAT, json=ASKED) for _ in range(2)]
            until(lambda: len(family.requests) == 2)
            late = client.post(CHAT, json=ASKED)
            server.call(family.go.set)
        assert [one.result().status_code for one in running] == [200, 200]
        assert (late.status_code, late.json()["error"]["code"]) == (429, "too_many_requests")
        assert int(late.headers["retry-after"]) >= 1
        assert client.post(CHAT, json=ASKED).status_code == 200
        assert 'trimoe_refusals_total{reason="too_many_requests"} 1.0' in client.get("/metrics").text


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_does_not_begin_in_time_is_given_up(stream: bool) -> None:
    family = held_family()
    with running_server(family, Limits(queue_s=0.05)) as server:
        found = httpx.post(server.url + CHAT, json={**ASKED, "stream": stream})
        assert (found.status_code, found.json()["error"]["code"]) == (503, "queue_timeout")
        assert "retry-after" in found.headers and family.cancels == 1
        server.call(family.go.set)


def test_an_answer_that_does_not_end_in_time_is_given_up() -> None:
    family = FakeFamily(words=("x",) * 10_000_000)
    with running_server(family, Limits(answer_s=0.1)) as server:
        found = httpx.post(server.url + CHAT, json=ASKED)
    assert (found.status_code, found.json()["error"]["code"]) == (503, "answer_timeout")


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (OverloadedError("256 requests wait", retry_after_s=7.2), 503, "overloaded"),
        (DeadlineError("late by 5 ms", retry_after_s=7.2), 503, "deadline_out_of_reach"),
        (MemoryLimitError("too large"), 503, "out_of_memory"),
        (RequestError("the prompt has 9 tokens"), 400, "request_not_possible"),
        (VerificationError("secret"), 503, "engine_failed"),
        (EngineError("secret"), 503, "engine_failed"),
        (RuntimeError("secret"), 500, "internal_error"),
    ],
)
def test_what_the_family_raises_has_a_status(failure: Exception, status: int, code: str) -> None:
    with running_server(FakeFamily(failure=failure)) as server:
        found = httpx.post(server.url + CHAT, json=ASKED)
        assert httpx.get(f"{server.url}/healthz").status_code == 200
    assert (found.status_code, found.json()["error"]["code"]) == (status, code)
    assert ("retry-after" in found.headers) == (status == 503) and "secret" not in found.text
    if isinstance(failure, OverloadedError):
        assert found.headers["retry-after"] == "8"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("begun", [False, True])
def test_a_client_that_goes_away_stops_its_answer(stream: bool, begun: bool) -> None:
    family = FakeFamily(words=("x",) * 10_000_000) if begun else held_family()
    with running_server(family) as server:
        with connected(server.port) as connection:
            body = chat_body(stream=stream)
            connection.sendall(head(CHAT, JSON_HEADER, f"content-length: {len(body)}") + body)
            until(lambda: len(family.requests) == 1)
            if stream and begun:
                assert connection.recv(100)
        until(lambda: family.cancels == 1 and server.service.admission.in_progress == 0)
        assert 'trimoe_refusals_total{reason="client_gone"} 1.0' in httpx.get(f"{server.url}/metrics").text
        server.call(family.go.set)


def test_nothing_is_sent_to_a_client_that_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    family = FakeFamily(words=("x" * 50,) * 2000, ahead=True)
    with running_server(family) as server:
        for _ in range(5):
            with connected(server.port) as connection:
                body = chat_body(stream=True)
                connection.sendall(head(CHAT, JSON_HEADER, f"content-length: {len(body)}") + body)
                assert connection.recv(1)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        until(lambda: family.cancels == 5 and server.service.admission.in_progress == 0)
    assert caplog.records == []


def test_limits_that_let_nothing_through_are_refused() -> None:
    with pytest.raises(ValueError, match="limit requests is 0"):
        Limits(requests=0)


def test_threads_end_with_the_server() -> None:
    before = threading.active_count()
    with running_server() as server:
        httpx.post(server.url + CHAT, json=ASKED)
    until(lambda: threading.active_count() <= before)
