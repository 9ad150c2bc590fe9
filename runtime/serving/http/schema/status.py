"""Short answers about the server itself."""

from typing import Literal

from pydantic import Field

from runtime.serving.http.schema.strict import Given, Taken


class Status(Given):
    """How the server is."""

    status: Literal["ok", "ready"]


class SwapRequest(Taken):
    """Which family to serve from now on: a folder on the server, or null for the same one, read anew."""

    path: str | None = Field(None, min_length=1, max_length=4096)


class Swapped(Given):
    """The family that is served now, by the digest of its manifest."""

    digest: str
