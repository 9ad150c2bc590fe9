"""The server's own OpenAPI document."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

_NEVER_SENT = ("HTTPValidationError", "ValidationError")


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """What FastAPI writes of the routes, without the answers to malformed requests that it would give itself: here they
    are errors 400 in OpenAI's form."""
    document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    for operations in document["paths"].values():
        for operation in operations.values():
            content = operation["responses"].get("422", {}).get("content", {}).get("application/json", {})
            if content.get("schema", {}).get("$ref", "").endswith(_NEVER_SENT[0]):
                del operation["responses"]["422"]
    for name in _NEVER_SENT:
        document["components"]["schemas"].pop(name, None)
    return document
