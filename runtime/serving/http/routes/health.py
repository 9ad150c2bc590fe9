"""Probes and metrics."""

from fastapi import APIRouter
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import Response

from runtime.serving.http.api_error import ApiError
from runtime.serving.http.routes.declared import WITHOUT_BODY, Serving, errors
from runtime.serving.http.schema.status import Status

router = APIRouter(tags=["operation"], responses=errors(*WITHOUT_BODY))


@router.get("/healthz")
async def show_health() -> Status:
    """The process runs."""
    return Status(status="ok")


@router.get("/readyz")
async def show_readiness(service: Serving) -> Status:
    """The family is loaded and tested, and the server does not stop."""
    if service.admission.draining:
        raise ApiError(503, "the server is shutting down", code="shutting_down", retry_after_s=1)
    return Status(status="ready")


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def show_metrics(service: Serving) -> Response:
    """In Prometheus' text format."""
    return Response(service.books.metrics.text, headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4})
