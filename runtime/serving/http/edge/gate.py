"""Who may ask: keys for everything but the page and the probes."""

from starlette.types import ASGIApp, Receive, Scope, Send

from runtime.serving.http.api_error import ApiError
from runtime.serving.http.api_keys import ApiKeys
from runtime.serving.http.edge.respond import send_error

OPEN = frozenset({"/", "/healthz", "/readyz"})
ADMIN = "/admin/"
_FORWARDED = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via", b"origin", b"sec-fetch-site"})
_LOOPBACK = frozenset({"127.0.0.1", "::1"})


class Gate:
    """Asks for a key where there are keys. What is below /admin/ takes admin keys; without any, it is open to programs
    on this machine that come neither through a proxy nor from a browser."""

    def __init__(self, app: ASGIApp, keys: ApiKeys, admin_keys: ApiKeys) -> None:
        self._app, self._keys, self._admin_keys = app, keys, admin_keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is not None:
            await send_error(send, refusal, close=True)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> ApiError | None:
        headers = dict(scope["headers"])
        shown, path = headers.get(b"authorization"), scope["path"]
        if path.startswith(ADMIN):
            return self._admin_refusal(scope, shown, headers)
        if (
            not self._keys
            or path in OPEN
            or self._keys.allow(shown)
            or (self._admin_keys and self._admin_keys.allow(shown))
        ):
            return None
        return ApiError(401, "a valid API key is needed: Authorization: Bearer KEY", code="invalid_api_key")

    def _admin_refusal(self, scope: Scope, shown: bytes | None, headers: dict[bytes, bytes]) -> ApiError | None:
        if self._admin_keys:
            if self._admin_keys.allow(shown):
                return None
            return ApiError(401, "a valid admin key is needed: Authorization: Bearer KEY", code="invalid_admin_key")
        client = scope.get("client")
        if client is not None and client[0] in _LOOPBACK and not _FORWARDED & headers.keys():
            return None
        return ApiError(403, "only programs on the server's machine may do this without admin keys", code="admin_only")
