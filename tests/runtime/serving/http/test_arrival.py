"""When a request came, and what it is called, reach the family."""

import time

import httpx
import pytest

from tests.runtime.serving.http.test_limits import ASKED, CHAT
from tests.support.http_server import running_server
from tests.support.raw_http import JSON_HEADER, chat_body, connected, head, response


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_goes_by_the_id_that_its_client_is_told(stream: bool) -> None:
    with running_server() as server:
        found = httpx.post(server.url + CHAT, json={**ASKED, "stream": stream})
    (request_id, began), told = server.family.arrivals[0], found.headers["x-request-id"]
    assert request_id == told and began is not None


def test_the_budget_runs_while_the_body_is_still_on_its_way() -> None:
    with running_server() as server, connected(server.port) as connection:
        body = chat_body()
        connection.sendall(head(CHAT, JSON_HEADER, f"content-length: {len(body)}", "expect: 100-continue"))
        assert b"100 Continue" in connection.recv(100)  # the head was read
        sent = time.monotonic()
        connection.sendall(body)
        assert response(connection)[0] == 200
    (_, began) = server.family.arrivals[0]
    assert began is not None and began <= sent
