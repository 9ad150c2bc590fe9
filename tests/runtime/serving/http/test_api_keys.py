"""Keys: from a file, shown as a bearer token, needed for everything but the page and the probes."""

from pathlib import Path

import httpx
import pytest

from runtime.errors import DocumentError
from runtime.serving.http.api_keys import ApiKeys, read_keys
from tests.runtime.serving.http.test_limits import ASKED, CHAT
from tests.support.http_server import running_server

KEY, OTHER = "a-key-of-some-length", "another-key-of-some-length"


def test_keys_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# ours\n\n{KEY}\n {OTHER} \n")
    keys = read_keys(file)
    assert keys.allow(f"Bearer {KEY}".encode()) and keys.allow(f"bearer  {OTHER}".encode())
    for shown in (None, b"", KEY.encode(), b"Bearer ", b"Bearer # ours", f"Basic {KEY}".encode(), b"Bearer \xff"):
        assert not keys.allow(shown)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"# none\n", "no key in it"), (b"short\n", "line 1: a key of less than 16"), (b"\xff", "cannot be read")],
)
def test_a_file_without_proper_keys_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "keys"
    file.write_bytes(content)
    with pytest.raises(DocumentError, match=said):
        read_keys(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="cannot be read"):
        read_keys(tmp_path / "keys")


def test_a_server_with_keys_asks_for_one() -> None:
    with running_server(keys=ApiKeys([KEY])) as server, httpx.Client(base_url=server.url) as client:
        for path in ("/", "/healthz", "/readyz"):
            assert client.get(path).status_code == 200
        for path in ("/metrics", "/v1/models", "/trimoe/family", "/nothing", "/openapi.json"):
            refused = client.get(path)
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
            assert refused.headers["www-authenticate"] == "Bearer"
            found = client.get(path, headers={"authorization": f"Bearer {KEY}"})
            assert found.status_code == (404 if path == "/nothing" else 200)
        assert client.post(CHAT, json=ASKED).status_code == 401
        assert client.post(CHAT, json=ASKED, headers={"authorization": f"Bearer {KEY}"}).status_code == 200
