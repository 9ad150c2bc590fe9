"""What all routes share: the service behind them, and the responses that they declare."""

from typing import Annotated, Any

from fastapi import Depends, Request

from runtime.serving.http.schema.error import ErrorBody
from runtime.serving.http.service import Service

Responses = dict[int | str, dict[str, Any]]

_MEANINGS = {
    400: "The request is not what it must be.",
    401: "A key is needed.",
    403: "Not allowed from here.",
    404: "There is no such model or path.",
    405: "The path takes another method.",
    408: "The request's body came too slowly.",
    409: "Another change is going on.",
    413: "The request's body is too large.",
    431: "The request's head is too large.",
    415: "The request's body is no JSON.",
    422: "What is asked for cannot be had; the message says what can.",
    429: "Too many requests are in progress; try again after the time in Retry-After.",
    500: "The server failed.",
    503: "The server cannot answer in time, stops, or its engine failed; try again after the time in Retry-After.",
}
WITHOUT_BODY = (400, 401, 404, 405, 408, 413, 415, 431, 500, 503)
ANSWERING = (*WITHOUT_BODY, 422, 429)


def service_of(request: Request) -> Service:
    """The service that the application was made for."""
    service: Service = request.app.state.service
    return service


Serving = Annotated[Service, Depends(service_of)]


def errors(*statuses: int) -> Responses:
    """These statuses, each with OpenAI's error body."""
    return {status: {"model": ErrorBody, "description": _MEANINGS[status]} for status in sorted(statuses)}
