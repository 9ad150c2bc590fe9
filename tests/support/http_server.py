"""A real server on loopback over a fake family, in a thread of this process."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.errors import DocumentError
from runtime.serving.http.app import create_service
from runtime.serving.http.limits import Limits
from runtime.serving.http.listening.listener import bind
from runtime.serving.http.listening.server import HttpServer
from runtime.serving.http.served import Files, Served
from runtime.serving.http.service import Service
from tests.support.fake_family import FakeFamily

NAME = "demo"


def no_other_family(files: Files) -> Served:
    raise DocumentError(f"{files.path}: no family")


def make_service(family: Served, limits: Limits | None = None, **settings: Any) -> Service:
    """The service of a family in a folder called NAME."""
    load = settings.pop("load", no_other_family)
    return create_service(family, Files(path=Path(NAME)), load, limits=limits or Limits(), **settings)


@dataclass(kw_only=True)
class Running:
    """A server, its family, and its loop."""

    url: str
    family: FakeFamily
    service: Service
    server: HttpServer
    loop: asyncio.AbstractEventLoop

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def call(self, function: Callable[..., Any], *arguments: Any) -> None:
        """On the server's loop, whose objects know no threads."""
        self.loop.call_soon_threadsafe(function, *arguments)


@contextmanager
def running_server(
    family: FakeFamily | None = None, limits: Limits | None = None, **settings: Any
) -> Iterator[Running]:
    """A server that is stopped at the end of the block."""
    family = family or FakeFamily()
    started, running = threading.Event(), {}

    async def serve() -> None:
        service = make_service(family, limits or Limits(drain_s=2.0), **settings)

        def ready(url: str) -> None:
            running.update(url=url, service=service, server=server, loop=asyncio.get_running_loop())
            started.set()

        server = HttpServer(service, bind("127.0.0.1", 0), ready=ready)
        await server.serve()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(10)
    found = Running(family=family, **running)
    try:
        yield found
    finally:
        if thread.is_alive():
            found.call(lambda: None if found.server.should_exit else found.server.stop())
        thread.join(15)
        assert not thread.is_alive()
