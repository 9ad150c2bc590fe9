"""One server for the tests that only ask, and a client of it."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.http_server import Running, running_server


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running_server() as found:
        yield found


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    server.family.requests.clear()
    with httpx.Client(base_url=server.url, timeout=10) as found:
        yield found
