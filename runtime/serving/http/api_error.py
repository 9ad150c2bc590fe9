"""What a client is told when it gets no answer: a status and OpenAI's error body."""

import json
import math
from collections.abc import Mapping
from typing import Any

JSON = "application/json"
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    429: "rate_limit_error",
}


class ApiError(Exception):
    """A refusal: `code` is one word for programs, `param` the field of the request that is meant, `details` what
    stands beside OpenAI's four fields. `retry_after_s` becomes the header Retry-After, in whole seconds."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        retry_after_s: float | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """`message` is one sentence with the value and the limit."""
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.retry_after_s, self.details = retry_after_s, details or {}

    @property
    def type(self) -> str:
        """OpenAI's name for errors of this status."""
        return _TYPES.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")

    @property
    def body(self) -> dict[str, Any]:
        """The document that is sent."""
        fields = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": {**fields, **self.details}}

    @property
    def content(self) -> bytes:
        """The bytes that are sent."""
        return json.dumps(self.body, ensure_ascii=True, allow_nan=False).encode()

    @property
    def headers(self) -> dict[str, str]:
        """What is sent beside the body."""
        return {} if self.retry_after_s is None else {"retry-after": str(max(1, math.ceil(self.retry_after_s)))}
