"""Every error in OpenAI's form, those of the framework too."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from runtime.serving.http.api_error import JSON, ApiError

# Of OpenAI's fields, those that this server refuses because they change what an answer is.
_NOT_SUPPORTED = frozenset(
    {"tools", "tool_choice", "functions", "function_call", "tool_calls", "response_format", "modalities", "audio"}
    | {"prediction", "n", "store", "web_search_options", "presence_penalty", "frequency_penalty", "logit_bias"}
    | {"echo", "best_of", "suffix"}
)


def add_error_handlers(app: FastAPI) -> None:
    """Let the application answer with OpenAI's error body whatever goes wrong."""
    app.add_exception_handler(ApiError, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _of_framework)
    app.add_exception_handler(Exception, _failed)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error_response(error)


async def _malformed(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return error_response(malformed(error.errors()))


async def _of_framework(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = HTTPStatus(error.status_code).name.lower()
    return error_response(ApiError(error.status_code, str(error.detail), code=code), error.headers or {})


async def _failed(_request: Request, _error: Exception) -> Response:
    """What nobody expected; the server's log gets it, the client does not."""
    return error_response(ApiError(500, "internal error; see the server's log", code="internal_error"))


def error_response(error: ApiError, headers: Mapping[str, str] | None = None) -> Response:
    """The error as a response."""
    return Response(error.content, error.status, {**(headers or {}), **error.headers}, JSON)


def malformed(found: Sequence[Mapping[str, Any]]) -> ApiError:
    """The refusal of a document: what is wrong at the place that goes deepest; of alternatives only one was meant."""
    deepest = max(found, key=lambda one: len(one["loc"]))
    parts = [part for part in deepest["loc"][1:] if not isinstance(part, str) or part.isidentifier()]
    names = [part for part, before in zip(parts, [None, *parts], strict=False) if part != before]
    param = _path(names) or None
    kind = deepest["type"]
    if kind == "json_invalid":
        return ApiError(400, "the body is no JSON", code="invalid_json")
    if names and any(name in _NOT_SUPPORTED for name in names):
        return ApiError(400, f"{param}: not supported by this server", code="unsupported_parameter", param=param)
    if kind == "extra_forbidden":
        return ApiError(400, f"{param}: unknown field", code="unknown_parameter", param=param)
    if kind == "missing":
        return ApiError(400, f"{param or 'the body'}: missing", code="missing_parameter", param=param)
    return ApiError(400, f"{param or 'the body'}: {deepest['msg']}", code="invalid_value", param=param)


def _path(names: Sequence[Any]) -> str:
    """messages[0].content"""
    said = "".join(f"[{name}]" if isinstance(name, int) else f".{str(name)[:80]}" for name in names)
    return said.removeprefix(".")
