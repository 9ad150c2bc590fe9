"""Opens a family and serves it until the process is told to stop."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from runtime.serving.family import Family
from runtime.serving.family_settings import FamilySettings
from runtime.serving.http.api_keys import ApiKeys
from runtime.serving.http.app import NO_KEYS, create_service
from runtime.serving.http.images.download import Downloader
from runtime.serving.http.limits import Limits
from runtime.serving.http.listening.listener import bind
from runtime.serving.http.listening.server import HttpServer
from runtime.serving.http.served import Files


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """How families are opened: the first, and those that take its place. See Family.load. `preload`: every variant
    is loaded and tested before the family is served, else the first one is, in each type of weights."""

    engine: str
    device: str | None = None
    dtypes: Sequence[str] | None = None
    settings: FamilySettings = field(default_factory=FamilySettings)
    preload: bool = False

    def open(self, files: Files) -> Family:
        """The family in its folder, whose variants repeat their golden outputs on this machine as they are loaded.
        Raises as Family.load does, and VerificationError."""
        family = Family.load(
            files.path,
            engine=self.engine,
            device=self.device,
            dtypes=self.dtypes,
            estimators=files.estimators,
            baseline=files.baseline,
            settings=self.settings,
        )
        try:
            family.prepare(None if self.preload else [family.manifest.variants[0].id])
        except BaseException:
            family.close()
            raise
        return family


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """Who may ask, from where pictures are fetched, and how much."""

    limits: Limits = field(default_factory=Limits)
    keys: ApiKeys = NO_KEYS
    admin_keys: ApiKeys = NO_KEYS
    image_hosts: frozenset[str] = frozenset()


Ready = Callable[[str, Family], None]


def serve_family(files: Files, opening: Opening, access: Access, *, host: str, port: int, ready: Ready) -> None:
    """Serve the family of `files` until SIGTERM or SIGINT; `ready` is called with the address. Raises TargetError for
    an address that is taken, and as `Opening.open` does."""
    with bind(host, port) as listener:
        family = opening.open(files)
        service = create_service(
            family,
            files,
            opening.open,
            limits=access.limits,
            keys=access.keys,
            admin_keys=access.admin_keys,
            downloader=Downloader(hosts=access.image_hosts),
        )
        server = HttpServer(service, listener, ready=lambda address: ready(address, family))
        asyncio.run(server.serve())
