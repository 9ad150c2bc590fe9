"""The family that is served now, and its change for another while requests run."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from runtime.documents.manifest import manifest_digest
from runtime.engines.memory import give_back
from runtime.serving.http.served import Served

_log = logging.getLogger(__name__)


@dataclass(kw_only=True, slots=True)
class _Held:
    """A family, the requests that use it, and whether another one has its place."""

    family: Served
    digest: str
    users: int = 0
    retired: bool = False


class CurrentFamily:
    """Hands the family of the moment to requests; one that was replaced is closed when its last request ends. To be
    used on the event loop only."""

    def __init__(self, family: Served) -> None:
        self._held = _held(family)
        self._closing: set[asyncio.Future[None]] = set()

    @property
    def family(self) -> Served:
        """The one that new requests get; for a look that ends before the next await."""
        return self._held.family

    @property
    def digest(self) -> str:
        """The digest of its manifest."""
        return self._held.digest

    @contextlib.contextmanager
    def lease(self) -> Iterator[Served]:
        """The family for one request: it stays open until the block is left."""
        held = self._held
        held.users += 1
        try:
            yield held.family
        finally:
            held.users -= 1
            self._close_unused(held)

    def replace(self, family: Served) -> None:
        """Give new requests this family from now on."""
        old, self._held = self._held, _held(family)
        old.retired = True
        self._close_unused(old)

    async def close(self) -> None:
        """Close the family, whoever uses it."""
        self._held.retired = True
        self._held.users = 0
        self._close_unused(self._held)
        await asyncio.gather(*self._closing)

    def _close_unused(self, held: _Held) -> None:
        if held.retired and held.users == 0:
            closing = asyncio.get_running_loop().run_in_executor(None, _close, held.family)
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


def _held(family: Served) -> _Held:
    return _Held(family=family, digest=manifest_digest(family.manifest))


def _close(family: Served) -> None:
    """Nothing waits for this but the end of the server, and a family that cannot be closed is no reason to stop."""
    try:
        family.close()
    except Exception:  # noqa: BLE001 — the outermost edge of this thread
        _log.exception("a family could not be closed")
    give_back()
