"""Requests that the server has to refuse, and clients that do not finish theirs."""

import base64
import http.client
import json
import random
import struct
import time
import zlib
from typing import Any

from profiles.benchmarks.soak.good import CHAT, SoakError
from profiles.benchmarks.soak.wire import connected, exchange, head, json_request

MEBIBYTE = 2**20
JSON_HEADER = "content-type: application/json"
MALFORMED: tuple[bytes, ...] = (
    b"",
    b"{",
    b"[]",
    b"null",
    b'{"model": "%s"}',
    b'{"model": "no such", "messages": [{"role": "user", "content": "1"}]}',
    b'{"model": "%s", "messages": [], "x": 1}',
    b'{"model": "%s", "messages": [{"role": "user", "content": "1"}], "max_tokens": -1}',
    b'{"model": "%s", "messages": [{"role": "user", "content": "1"}], "temperature": 1e999}',
    b'{"model": "%s", "messages": [{"role": "user", "content": "\\ud800"}], "stop": [""]}',
    b'{"model": "%s", "messages": [{"role": "user", "content": "1"}], "latency_budget_ms": "soon"}',
    b'{"model": "%s", "messages": [{"role": "user", "content": "1"}], "task": "no such task"}',
    b"\xff\xfe\x00" * 40,
    b"[" * 100_000,
    b'{"model": "%s", "messages": ' + b"9" * 100_000 + b"}",
)


class HostileClient:
    """Breaks the rules of a server on a port of loopback, whose family is called `model`."""

    def __init__(self, port: int, model: str) -> None:
        """Pictures that are bombs are made once."""
        self._port, self._model = port, model
        self._bombs = tuple(_data_uri(one) for one in (_png(20_000, 20_000), _png(4000, 4000)[:1000], b"GIF89a" * 99))

    def malformed(self, rng: random.Random) -> str:
        """A body that is not what it must be."""
        body = rng.choice(MALFORMED).replace(b"%s", self._model.encode())
        return self._refused(json_request(CHAT, body))

    def bomb(self, rng: random.Random) -> str:
        """A picture that would fill the memory, or is none."""
        picture = {"type": "image_url", "image_url": {"url": rng.choice(self._bombs)}}
        return self._refused(json_request(CHAT, self._chat([picture])))

    def packed(self, rng: random.Random) -> str:
        """A body that was compressed, from a thousand times its size."""
        body = zlib.compress(json.dumps(self._chat("a" * 8 * MEBIBYTE)).encode(), 9)
        return self._refused(
            head(CHAT, JSON_HEADER, "content-encoding: deflate", f"content-length: {len(body)}") + body
        )

    def long_prompt(self, rng: random.Random) -> str:
        """More text than a prompt may have."""
        return self._refused(json_request(CHAT, self._chat("7 " * rng.choice((9000, 100_000)))))

    def oversized(self, rng: random.Random) -> str:
        """A body above the limit, announced or not."""
        if rng.random() < 0.5:
            return self._refused(head(CHAT, JSON_HEADER, f"content-length: {10**9}"), b" " * MEBIBYTE)
        chunk = b"%x\r\n" % MEBIBYTE + b" " * MEBIBYTE + b"\r\n"
        return self._refused(head(CHAT, JSON_HEADER, "transfer-encoding: chunked"), *[chunk] * 21, b"0\r\n\r\n")

    def huge_head(self, rng: random.Random) -> str:
        """Headers without end, of one line or of many."""
        lines = [f"x-{place}: {'a' * 1000}" for place in range(64)] if rng.random() < 0.5 else [f"x: {'a' * 200_000}"]
        return self._refused(head(CHAT, *lines))

    def no_http(self, rng: random.Random) -> str:
        """Bytes that are no request."""
        return self._refused(rng.randbytes(64) + b"\r\n\r\n")

    def leave_in_body(self, rng: random.Random) -> str:
        """Go away before the body is whole."""
        with connected(self._port) as connection:
            connection.sendall(head(CHAT, JSON_HEADER, "content-length: 100000") + b"{" * rng.randint(0, 500))
            time.sleep(rng.random() / 10)
        return "left"

    def other_paths(self, rng: random.Random) -> str:
        """What is read besides, and what is not there."""
        path, expected = rng.choice(
            [("/v1/models", 200), ("/metrics", 200), ("/healthz", 200), ("/readyz", 200), ("/", 200), ("/no", 404)]
        )
        reply = exchange(self._port, [head(path, method="GET")])
        if reply.status != expected:
            raise SoakError(f"{path}: status {reply.status}, expected {expected}")
        return "read"

    def _chat(self, content: Any) -> dict[str, Any]:
        return {"model": self._model, "messages": [{"role": "user", "content": content}], "max_tokens": 1}

    def _refused(self, *pieces: bytes) -> str:
        """A client that is cut off while it still sends has been refused too. Raises SoakError for any other answer
        than a refusal."""
        try:
            reply = exchange(self._port, pieces)
        except (ConnectionError, http.client.HTTPException):
            return "cut off"
        if not 400 <= reply.status < 500:
            raise SoakError(f"status {reply.status} for {pieces[0][:300]!r}: {reply.body[:200]!r}")
        return f"refused: {reply.document['error']['code']}"


def _data_uri(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _png(width: int, height: int) -> bytes:
    """A black picture with a bit a pixel."""
    packer, row = zlib.compressobj(9), b"\0" * (1 + (width + 7) // 8)
    rows = b"".join([packer.compress(row) for _ in range(height)]) + packer.flush()
    parts = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
