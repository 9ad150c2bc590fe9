"""HTTP by hand on loopback, one request a connection: for clients that no library would be."""

import http.client
import json
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

LOOPBACK = "127.0.0.1"
PATIENCE_S = 40.0  # longer than any limit of the server on one step of a request
LARGEST = 64 * 2**20  # bytes of a response


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A response, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The body's JSON. Raises ValueError."""
        return json.loads(self.body)

    @property
    def events(self) -> list[str]:
        """The data of server-sent events, in order."""
        return [line[6:] for line in self.body.decode().split("\n") if line.startswith("data: ")]


def head(path: str, *headers: str, method: str = "POST") -> bytes:
    """The head of a request."""
    return "\r\n".join((f"{method} {path} HTTP/1.1", "host: x", "connection: close", *headers, "", "")).encode()


def json_request(path: str, document: Any) -> bytes:
    """A request with a body of JSON."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return head(path, "content-type: application/json", f"content-length: {len(body)}") + body


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """A connection to a port on loopback. Raises OSError."""
    with socket.create_connection((LOOPBACK, port), PATIENCE_S) as found:
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield found


def exchange(port: int, pieces: Iterable[bytes], *, pause_s: float = 0.0) -> Reply:
    """Send the pieces, with a pause after each, and read the response. Raises OSError and http.client.HTTPException
    where there is none; a server may answer before it has read all."""
    with connected(port) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause_s)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has heard enough: what it says may still be read
        return read_reply(connection)


def read_reply(
    connection: socket.socket, *, at_most: int = LARGEST, piece_bytes: int = 2**16, pause_s: float = 0.0
) -> Reply:
    """Read a response, so many bytes at a time with a pause after each. Raises as `exchange` does."""
    response = http.client.HTTPResponse(connection)
    try:
        response.begin()
        found = bytearray()
        while len(found) < at_most and (piece := response.read1(piece_bytes)):
            found += piece
            time.sleep(pause_s)
        return Reply(
            status=response.status, headers={k.lower(): v for k, v in response.getheaders()}, body=bytes(found)
        )
    finally:
        response.close()
