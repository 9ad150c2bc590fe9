"""The server's own OpenAPI document."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from runtime.serving.http.api_error import JSON

_NEVER_SENT = ("HTTPValidationError", "ValidationError")


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """What FastAPI writes of the routes, but for two things. It would answer malformed requests itself, with a status
    422; here they are errors 400. And it takes errors to be of the type of the route's answers; here all are JSON."""
    document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    for operations in document["paths"].values():
        for operation in operations.values():
            responses = operation["responses"]
            content = responses.get("422", {}).get("content", {}).get(JSON, {})
            if content.get("schema", {}).get("$ref", "").endswith(_NEVER_SENT[0]):
                del responses["422"]
            for status in filter(_is_error, responses):
                responses[status]["content"] = {JSON: {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}
    for name in _NEVER_SENT:
        document["components"]["schemas"].pop(name, None)
    return document


def _is_error(status: str) -> bool:
    return int(status) >= 400
