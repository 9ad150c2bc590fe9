"""HTTP by hand, for requests that no client library would send."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """A connection to a port on loopback."""
    with socket.create_connection(("127.0.0.1", port), 10) as found:
        yield found


def head(path: str, *headers: str, method: str = "POST") -> bytes:
    """The head of a request."""
    return "\r\n".join((f"{method} {path} HTTP/1.1", "host: x", *headers, "", "")).encode()


JSON_HEADER = "content-type: application/json"


def chat_body(**fields: Any) -> bytes:
    """A chat as a client sends it."""
    return json.dumps({"model": "demo", "messages": [{"role": "user", "content": "hello"}], **fields}).encode()


def response(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """Status and document of the response, read until the server closes or the document is whole."""
    got = b""
    while True:
        piece = connection.recv(65536)
        got += piece
        top, found, body = got.partition(b"\r\n\r\n")
        lengths = [line.split(b":")[1] for line in top.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if not piece or (found and lengths and len(body) >= int(lengths[0])):
            return int(top.split()[1]), json.loads(body)
