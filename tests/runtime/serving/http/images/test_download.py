"""Pictures by URL: from named hosts at public addresses, bounded, without redirects."""

import http.client
from collections.abc import Sequence

import pytest

from runtime.serving.http.api_error import ApiError
from runtime.serving.http.images.download import Downloader


class FakeResponse:
    def __init__(self, status: int, pieces: Sequence[bytes]) -> None:
        self.status, self._pieces = status, list(pieces)

    def read1(self, _size: int) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


class FakeConnection:
    """Stands in for a connection to a checked address."""

    def __init__(self, host: str, address: str, status: int, pieces: Sequence[bytes]) -> None:
        self.host, self.address, self.closed, self.asked = host, address, False, ""
        self._response = FakeResponse(status, pieces)

    def request(self, _method: str, path: str, headers: dict[str, str]) -> None:
        self.asked = path

    def getresponse(self) -> FakeResponse:
        return self._response

    def close(self) -> None:
        self.closed = True


def downloader(
    made: list[FakeConnection], *, addresses: Sequence[str] = ("93.184.216.34",), status: int = 200, **settings: object
) -> Downloader:
    pieces = settings.pop("pieces", (b"abc", b"def"))

    def connect(host: str, address: str, _timeout_s: float) -> http.client.HTTPConnection:
        made.append(FakeConnection(host, address, status, pieces))  # type: ignore[arg-type]
        return made[-1]  # type: ignore[return-value]

    return Downloader(
        hosts=frozenset({"images.example"}),
        resolve=lambda host: addresses,
        connect=connect,
        **settings,  # type: ignore[arg-type]
    )


def test_an_allowed_host_is_asked_at_the_address_that_was_checked() -> None:
    made: list[FakeConnection] = []
    assert downloader(made).fetch("https://images.example/a/b.png?c=1", most_bytes=6, param="p") == b"abcdef"
    assert (made[0].host, made[0].address, made[0].asked) == ("images.example", "93.184.216.34", "/a/b.png?c=1")
    assert made[0].closed


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/a.png",
        "https://images.example.evil.example/a.png",
        "https://images.example@evil.example/a.png",
        "http://images.example/a.png",
        "https://images.example:8443/a.png",
        "https://user@images.example/a.png",
        "https://images.example/a b",
        "https://images.example/\r\nhost: evil",
        "https://images.example:port/",
        "https://[images.example/",
        "file:///etc/passwd",
        "ftp://images.example/a.png",
        "//images.example/a.png",
        "a.png",
    ],
)
def test_other_urls_are_refused_without_a_connection(url: str) -> None:
    made: list[FakeConnection] = []
    with pytest.raises(ApiError) as caught:
        downloader(made).fetch(url, most_bytes=6, param="p")
    assert caught.value.status == 400 and made == []


@pytest.mark.parametrize(
    "addresses",
    [("127.0.0.1",), ("10.0.0.1",), ("169.254.169.254",), ("::1",), ("fe80::1%eth0",), ("93.184.216.34", "::1"), ()],
)
def test_a_name_of_a_private_address_is_refused(addresses: Sequence[str]) -> None:
    made: list[FakeConnection] = []
    with pytest.raises(ApiError, match="no public address"):
        downloader(made, addresses=addresses).fetch("https://images.example/a", most_bytes=6, param="p")
    assert made == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"status": 302}, "answered 302; redirects are not followed"),
        ({"status": 404}, "answered 404"),
        ({"pieces": (b"x" * 7,)}, "more than 6 bytes"),
        ({"timeout_s": -1.0}, "too slow"),
    ],
)
def test_what_a_host_delivers_is_bounded(settings: dict[str, object], said: str) -> None:
    made: list[FakeConnection] = []
    with pytest.raises(ApiError, match=said):
        downloader(made, **settings).fetch("https://images.example/a", most_bytes=6, param="p")  # type: ignore[arg-type]
    assert made[0].closed


def test_without_hosts_nothing_is_fetched() -> None:
    with pytest.raises(ApiError, match="from nowhere") as caught:
        Downloader().fetch("https://images.example/a.png", most_bytes=6, param="p")
    assert caught.value.code == "image_url_not_allowed"
