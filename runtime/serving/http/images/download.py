"""Pictures fetched from hosts that the operator named, and from nowhere else."""

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from runtime.serving.http.api_error import ApiError

Resolve = Callable[[str], Sequence[str]]
_PIECE = 64 * 2**10


def resolve(host: str) -> Sequence[str]:
    """The addresses of a host."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)]


class _PinnedConnection(http.client.HTTPSConnection):
    """Connects to an address that was checked, whatever the name resolves to by now; the certificate is the name's."""

    def __init__(self, host: str, address: str, timeout_s: float) -> None:
        self._context = ssl.create_default_context()
        super().__init__(host, timeout=timeout_s, context=self._context)
        self._address = address

    def connect(self) -> None:
        """See HTTPSConnection."""
        plain = socket.create_connection((self._address, 443), self.timeout)
        self.sock = self._context.wrap_socket(plain, server_hostname=self.host)


Connect = Callable[[str, str, float], http.client.HTTPConnection]


@dataclass(frozen=True, kw_only=True, slots=True)
class Downloader:
    """Fetches `https://HOST/…` on port 443 for the `hosts` given, exactly as spelt: no redirects, no private addresses,
    no more than `timeout_s` seconds. Without hosts it refuses every URL."""

    hosts: frozenset[str] = frozenset()
    timeout_s: float = 10.0
    resolve: Resolve = resolve
    connect: Connect = _PinnedConnection

    def fetch(self, url: str, *, most_bytes: int, param: str) -> bytes:
        """The content. Raises ApiError. Blocks: to be called in a thread."""
        parts = self._checked(url, param)
        host = parts.hostname or ""
        until = time.monotonic() + self.timeout_s
        try:
            connection = self.connect(host, self._public_address(host, param), self.timeout_s)
            try:
                return _read(connection, parts, most_bytes, until, param)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise _refused(f"{host} did not deliver the picture", param) from error

    def _checked(self, url: str, param: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            plain = parts.scheme == "https" and parts.port in (None, 443) and parts.username is None
        except ValueError as error:
            raise _refused("not a URL", param) from error
        if parts.hostname is None or parts.hostname not in self.hosts:
            allowed = f"only from {', '.join(sorted(self.hosts))}" if self.hosts else "from nowhere: send data:image/…"
            raise _refused(f"this server fetches pictures {allowed}", param, "image_url_not_allowed")
        if not plain or not url.isascii() or any(character <= " " for character in url):
            raise _refused("expected https://HOST/PATH", param)
        return parts

    def _public_address(self, host: str, param: str) -> str:
        addresses = self.resolve(host)
        if not addresses or not all(ipaddress.ip_address(one.partition("%")[0]).is_global for one in addresses):
            raise _refused(f"{host} has no public address", param, "image_url_not_allowed")
        return addresses[0]


def _read(
    connection: http.client.HTTPConnection, parts: SplitResult, most_bytes: int, until: float, param: str
) -> bytes:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.request("GET", path, headers={"accept": "image/*", "accept-encoding": "identity"})
    response = connection.getresponse()
    if response.status != 200:
        raise _refused(f"{parts.hostname} answered {response.status}; redirects are not followed", param)
    content = bytearray()
    while piece := response.read1(_PIECE):
        content += piece
        if len(content) > most_bytes:
            raise _refused(f"more than {most_bytes} bytes", param, "image_too_large")
        if time.monotonic() > until:
            raise _refused(f"{parts.hostname} is too slow", param)
    return bytes(content)


def _refused(why: str, param: str, code: str = "invalid_image_url") -> ApiError:
    return ApiError(400, f"{param}: {why}", code=code, param=param)
