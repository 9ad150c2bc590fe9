"""The process' server: listens, drains when it is told to stop, and changes the family on SIGHUP."""

import asyncio
import contextlib
import functools
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from runtime.serving.http.api_error import ApiError
from runtime.serving.http.app import create_app
from runtime.serving.http.listening.connection import Connection
from runtime.serving.http.service import Service

_log = logging.getLogger(__name__)
_LAST_WORDS_S = 5
_CONFLICT = 409


class HttpServer(uvicorn.Server):
    """Serves `service` on a bound socket until SIGTERM or SIGINT: then it accepts nothing new, finishes what it has
    begun within `limits.drain_s`, and ends. A second signal ends it at once."""

    def __init__(self, service: Service, listener: socket.socket, *, ready: Callable[[str], None]) -> None:
        """`ready` is called with the address when requests are accepted."""
        limits = service.limits
        connection: Any = functools.partial(Connection, limits=limits)
        config = uvicorn.Config(
            create_app(service),
            http=connection,
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=limits.idle_s,
            timeout_graceful_shutdown=int(limits.drain_s) + _LAST_WORDS_S,
            h11_max_incomplete_event_size=limits.header_bytes,
        )
        super().__init__(config)
        self._service, self._listener, self._ready = service, listener, ready
        self._swaps: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn.Server."""
        await super().startup([self._listener])
        if self.started:
            self._ready(self.address)

    @property
    def address(self) -> str:
        """http://HOST:PORT"""
        host, port = self._listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals on the loop, where the process allows it. Uvicorn's own would raise them again at the end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        actions = {signal.SIGTERM: self.stop, signal.SIGINT: self.stop, signal.SIGHUP: self.swap}
        for number, action in actions.items():
            loop.add_signal_handler(number, action)
        try:
            yield
        finally:
            for number in actions:
                loop.remove_signal_handler(number)

    def stop(self) -> None:
        """Drain and end; when called again, end at once."""
        if self.should_exit:
            self.force_exit = True
            self._service.admission.stopped.set()
            return
        _log.info("stopping", extra={"fields": {"in_progress": self._service.admission.in_progress}})
        self._service.admission.draining = self.should_exit = True
        asyncio.get_running_loop().call_later(self._service.limits.drain_s, self._service.admission.stopped.set)

    def swap(self) -> None:
        """Load the family again beside the one that is served, and change to it."""
        task = asyncio.get_running_loop().create_task(self._swap())
        self._swaps.add(task)
        task.add_done_callback(self._swaps.discard)

    async def _swap(self) -> None:
        try:
            await self._service.reloading.reload()
        except ApiError as error:
            if error.status == _CONFLICT:  # what cannot be loaded is logged where it is loaded
                _log.warning("family not changed: %s", error.message)
        except Exception:  # noqa: BLE001 - the outermost edge of this task
            _log.exception("family not changed")
