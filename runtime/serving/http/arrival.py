"""When a request came, and what it is called."""

import time
import uuid
from dataclasses import dataclass, field

from starlette.types import Scope

_KEY = "trimoe.arrival"


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """`began` on the monotonic clock, when the head was read and the body was still to come; `id` is sent back as
    x-request-id and names the request in logs."""

    began: float = field(default_factory=time.monotonic)
    id: str = field(default_factory=lambda: f"req-{uuid.uuid4().hex}")

    def note(self, scope: Scope) -> None:
        """Let it travel with the request."""
        scope[_KEY] = self


def arrival_of(scope: Scope) -> Arrival:
    """What was noted for this request."""
    found = scope[_KEY]
    assert isinstance(found, Arrival)
    return found
