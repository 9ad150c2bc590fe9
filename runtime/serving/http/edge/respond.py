"""Errors that are sent before a request reaches a route."""

from starlette.types import Send

from runtime.serving.http.api_error import JSON, ApiError


async def send_error(send: Send, error: ApiError, *, close: bool = False) -> None:
    """Send the error as a whole response; with `close` the connection ends with it."""
    content = error.content
    headers = {"content-type": JSON, "content-length": str(len(content)), **error.headers}
    if close:
        headers["connection"] = "close"
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": pairs})
    await send({"type": "http.response.body", "body": content, "more_body": False})
