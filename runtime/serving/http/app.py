"""The HTTP application over a family."""

import functools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI, Security
from fastapi.security import HTTPBearer

from runtime.serving.http.admission import Admission
from runtime.serving.http.api_keys import ApiKeys
from runtime.serving.http.current_family import CurrentFamily
from runtime.serving.http.edge.bodies import Bodies
from runtime.serving.http.edge.envelope import Envelope
from runtime.serving.http.edge.gate import Gate
from runtime.serving.http.images.download import Downloader
from runtime.serving.http.images.picture_reader import PictureReader
from runtime.serving.http.limits import Limits
from runtime.serving.http.observing.books import Books
from runtime.serving.http.observing.metrics import Metrics
from runtime.serving.http.observing.recent import RecentDecisions
from runtime.serving.http.reloading import Load, Reloading
from runtime.serving.http.routes import admin, completions, family, health, models, page
from runtime.serving.http.routes.error_handlers import add_error_handlers
from runtime.serving.http.routes.openapi import openapi_document
from runtime.serving.http.served import Files, Served
from runtime.serving.http.service import Service

NO_KEYS = ApiKeys()
NO_DOWNLOADS = Downloader()


def create_service(
    family: Served,
    files: Files,
    load: Load,
    *,
    limits: Limits,
    keys: ApiKeys = NO_KEYS,
    admin_keys: ApiKeys = NO_KEYS,
    downloader: Downloader = NO_DOWNLOADS,
) -> Service:
    """The service over `family`, which was loaded from `files` by `load` and is closed with the service. Clients call
    it by the folder's name."""
    current, admission = CurrentFamily(family), Admission(limits.requests)
    metrics = Metrics(state=lambda: current.family.state, in_progress=lambda: admission.in_progress)
    return Service(
        name=files.path.absolute().name,
        begun=int(time.time()),
        limits=limits,
        current=current,
        admission=admission,
        pictures=PictureReader(limits, downloader),
        books=Books(metrics=metrics, recent=RecentDecisions()),
        reloading=Reloading(files, load, current, metrics),
        keys=keys,
        admin_keys=admin_keys,
    )


def create_app(service: Service) -> FastAPI:
    """The application; it closes the service when it ends."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await service.close()

    app = FastAPI(
        title="trimoe",
        summary="Each request answered by the most accurate variant of a family that keeps its latency budget.",
        version=version("trimoe"),
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.service = service
    app.openapi = functools.partial(openapi_document, app)  # type: ignore[method-assign]
    bearer = HTTPBearer(auto_error=False, description="A key that the operator gave out.")
    asks = [Security(bearer)] if service.keys else []
    for module in (completions, models, family):
        app.include_router(module.router, dependencies=asks)
    app.include_router(admin.router, dependencies=[Security(bearer)] if service.admin_keys else [])
    for module in (health, page):
        app.include_router(module.router)
    add_error_handlers(app)
    app.add_middleware(Bodies, limits=service.limits)
    app.add_middleware(Gate, keys=service.keys, admin_keys=service.admin_keys)
    app.add_middleware(Envelope, metrics=service.books.metrics)
    return app
