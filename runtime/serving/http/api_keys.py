"""Keys that clients must show."""

import hashlib
import hmac
from collections.abc import Iterable
from pathlib import Path

from runtime.errors import DocumentError

SHORTEST = 16


class ApiKeys:
    """A set of keys, kept as digests. Without any, everyone may ask."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._digests = tuple(_digest(key.encode()) for key in keys)

    def __bool__(self) -> bool:
        return bool(self._digests)

    def allow(self, authorization: bytes | None) -> bool:
        """Whether the header `Authorization: Bearer KEY` shows one of the keys; takes as long whichever it is."""
        if authorization is None or authorization[:7].lower() != b"bearer ":
            return False
        shown = _digest(authorization[7:].strip())
        return sum(hmac.compare_digest(shown, known) for known in self._digests) > 0


def read_keys(path: Path) -> ApiKeys:
    """The keys in a file, one a line; empty lines and those that begin with # are left out. Raises DocumentError."""
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError(f"{path}: cannot be read: {error}") from error
    keys = [line for line in lines if line and not line.startswith("#")]
    if not keys:
        raise DocumentError(f"{path}: no key in it")
    if short := [place for place, line in enumerate(lines, 1) if line in keys and len(line) < SHORTEST]:
        raise DocumentError(f"{path}: line {short[0]}: a key of less than {SHORTEST} characters")
    return ApiKeys(keys)


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
